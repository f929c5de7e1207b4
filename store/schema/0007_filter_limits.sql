-- oldest-program: 0.1.0
-- What a login of a filter may write is believed less: no certificate without a sender, and no
-- time of a message by which days could be made, or be kept for ever.

CREATE OR REPLACE FUNCTION milter_audit(
	at bigint[], node text[], queue_id text[], message_id text[], sender text[], author text[],
	client text[], origin text[], reason text[], reply text[], recipients text[],
	outcomes text[], detail text[], size bigint[], duration_us bigint[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	written bigint;
	present bigint := extract(epoch FROM now())::bigint;
	-- Not refused: a filter whose clock is wrong would lose the record, or write it for ever.
	times timestamptz[] := (SELECT array_agg(CASE WHEN a.a BETWEEN present - 31 * 86400
			AND present + 3600 THEN to_timestamp(a.a) ELSE now() END ORDER BY a.n)
		FROM unnest(milter_audit.at) WITH ORDINALITY AS a(a, n));
BEGIN
	PERFORM audit_message_day(d.day) FROM (
		SELECT DISTINCT (t.t AT TIME ZONE 'UTC')::date AS day FROM unnest(times) AS t(t)) AS d;
	INSERT INTO audit_message (at, node, queue_id, message_id, sender, author, client, origin,
		reason, reply, recipients, outcomes, detail, size, duration_us)
	SELECT r.at, r.node, nullif(r.queue_id, ''), nullif(r.message_id, ''),
		nullif(r.sender, ''), nullif(r.author, ''), nullif(r.client, ''), nullif(r.origin, ''),
		r.reason, nullif(r.reply, ''), string_to_array(r.recipients, E'\n'),
		string_to_array(r.outcomes, E'\n'), nullif(r.detail, '')::jsonb, r.size, r.duration_us
	FROM unnest(times, milter_audit.node, milter_audit.queue_id,
		milter_audit.message_id, milter_audit.sender, milter_audit.author, milter_audit.client,
		milter_audit.origin, milter_audit.reason, milter_audit.reply, milter_audit.recipients,
		milter_audit.outcomes, milter_audit.detail, milter_audit.size, milter_audit.duration_us)
		AS r(at, node, queue_id, message_id, sender, author, client, origin, reason, reply,
			recipients, outcomes, detail, size, duration_us);
	GET DIAGNOSTICS written = ROW_COUNT;
	RETURN written;
END
$$;

-- NULL compares as neither less nor more: by it both limits were passed.
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
	RETURN 'new';
END
$$;
