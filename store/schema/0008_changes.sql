-- oldest-program: 0.1.0
-- Caches hear which addresses a certificate concerns, so that a new one of somebody costs nobody
-- else a recomputation. Programs that do not know the new kinds empty all they have.

COMMENT ON COLUMN change_log.kind IS 'What has changed: cert, key, root, crl, ctl, preference, selection, ca, address (a certificate that names it), issuer (a CA certificate of this subject), ocsp, directory, job';
COMMENT ON COLUMN change_log.key IS 'Which one (thumbprint, scope, address, canonical name ...); NULL: all of the kind';

CREATE OR REPLACE FUNCTION milter_harvest(
	new_thumbprint text, new_der bytea, new_subject text, new_issuer text, new_subject_key text,
	new_issuer_key text, new_serial text, new_not_before timestamptz, new_not_after timestamptz,
	new_spki text, new_ski text, new_aki text, new_self_signed boolean, new_key_kind text,
	new_key_bits integer, new_emails text[], new_sender text, new_pending boolean
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	new_id bigint;
BEGIN
	IF coalesce(new_sender, '') = '' OR coalesce(cardinality(new_emails), 0) = 0
			OR EXISTS (SELECT 1 FROM unnest(new_emails) AS e WHERE coalesce(e, '') = '') THEN
		RAISE EXCEPTION 'a certificate is not taken without its sender and its addresses';
	END IF;
	IF length(new_der) > 65536 OR cardinality(new_emails) > 50 THEN
		RETURN 'limit';
	END IF;
	IF EXISTS (SELECT 1 FROM certificate WHERE thumbprint = new_thumbprint) THEN
		RETURN 'present';
	END IF;
	PERFORM pg_advisory_xact_lock(hashtextextended('harvest ' || new_sender, 0));
	IF 5 <= (SELECT count(*) FROM certificate c WHERE c.origin = 'harvest'
			AND c.origin_detail = new_sender AND c.created > now() - interval '1 day') THEN
		RETURN 'limit';
	END IF;
	INSERT INTO certificate (thumbprint, der, subject, issuer, subject_key, issuer_key, serial,
		not_before, not_after, spki_sha256, ski, aki, is_ca, self_signed, key_kind, key_bits,
		origin, origin_detail, pending)
	VALUES (new_thumbprint, new_der, new_subject, new_issuer, new_subject_key, new_issuer_key,
		new_serial, new_not_before, new_not_after, new_spki, new_ski, new_aki, false,
		new_self_signed, new_key_kind, new_key_bits, 'harvest', new_sender, new_pending)
	ON CONFLICT (thumbprint) DO NOTHING RETURNING id INTO new_id;
	IF new_id IS NULL THEN
		RETURN 'present';
	END IF;
	INSERT INTO certificate_email (email, certificate_id)
		SELECT DISTINCT e, new_id FROM unnest(new_emails) AS e;
	PERFORM change_append('cert', new_thumbprint);
	PERFORM change_append('address', e) FROM (SELECT DISTINCT unnest(new_emails) AS e) AS named;
	RETURN 'new';
END
$$;
