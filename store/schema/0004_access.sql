-- oldest-program: 0.1.0
-- The four writing functions of the filter, and who may do what.

-- 1: message audit, many rows in one call. Empty text stands for NULL; lists are split at LF.
CREATE FUNCTION milter_audit(
	at bigint[], node text[], queue_id text[], message_id text[], sender text[], author text[],
	client text[], origin text[], reason text[], reply text[], recipients text[],
	outcomes text[], detail text[], size bigint[], duration_us bigint[]
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	written bigint;
BEGIN
	PERFORM audit_message_day(d.day) FROM (
		SELECT DISTINCT (to_timestamp(a.a) AT TIME ZONE 'UTC')::date AS day
		FROM unnest(milter_audit.at) AS a(a)) AS d;
	INSERT INTO audit_message (at, node, queue_id, message_id, sender, author, client, origin,
		reason, reply, recipients, outcomes, detail, size, duration_us)
	SELECT to_timestamp(r.at), r.node, nullif(r.queue_id, ''), nullif(r.message_id, ''),
		nullif(r.sender, ''), nullif(r.author, ''), nullif(r.client, ''), nullif(r.origin, ''),
		r.reason, nullif(r.reply, ''), string_to_array(r.recipients, E'\n'),
		string_to_array(r.outcomes, E'\n'), nullif(r.detail, '')::jsonb, r.size, r.duration_us
	FROM unnest(milter_audit.at, milter_audit.node, milter_audit.queue_id,
		milter_audit.message_id, milter_audit.sender, milter_audit.author, milter_audit.client,
		milter_audit.origin, milter_audit.reason, milter_audit.reply, milter_audit.recipients,
		milter_audit.outcomes, milter_audit.detail, milter_audit.size, milter_audit.duration_us)
		AS r(at, node, queue_id, message_id, sender, author, client, origin, reason, reply,
			recipients, outcomes, detail, size, duration_us);
	GET DIAGNOSTICS written = ROW_COUNT;
	RETURN written;
END
$$;
COMMENT ON FUNCTION milter_audit IS 'Writes rows of message audit';

-- 2: a certificate seen in signed mail. Never a CA, never more than five a day and sender.
CREATE FUNCTION milter_harvest(
	new_thumbprint text, new_der bytea, new_subject text, new_issuer text, new_subject_key text,
	new_issuer_key text, new_serial text, new_not_before timestamptz, new_not_after timestamptz,
	new_spki text, new_ski text, new_aki text, new_self_signed boolean, new_key_kind text,
	new_key_bits integer, new_emails text[], new_sender text, new_pending boolean
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	new_id bigint;
BEGIN
	IF length(new_der) > 65536 OR cardinality(new_emails) NOT BETWEEN 1 AND 50 THEN
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
COMMENT ON FUNCTION milter_harvest IS 'Takes a certificate out of signed mail into the store: new, present, or limit';
CREATE INDEX certificate_harvest ON certificate (origin_detail, created) WHERE origin = 'harvest';

-- 3: the ledger of split copies: claim before DATA, complete after 250, forget when all is done.
CREATE FUNCTION milter_ledger(action text, copies bytea[], mta_queue_id text, keep interval)
RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	IF keep > interval '30 days' OR keep < interval '0' THEN
		RAISE EXCEPTION 'a ledger row cannot be kept for %', keep;
	END IF;
	IF action = 'claim' THEN
		INSERT INTO ledger (digest, state, expires)
			SELECT DISTINCT c, 'claimed', now() + keep FROM unnest(copies) AS c
			ON CONFLICT (digest) DO NOTHING;
	ELSIF action = 'complete' THEN
		UPDATE ledger SET state = 'completed', queue_id = mta_queue_id WHERE digest = ANY (copies);
	ELSIF action = 'forget' THEN
		DELETE FROM ledger WHERE digest = ANY (copies);
	ELSE
		RAISE EXCEPTION 'no such action on the ledger: %', action;
	END IF;
	RETURN (SELECT array_agg(coalesce(l.state, '') ORDER BY c.n)
		FROM unnest(copies) WITH ORDINALITY AS c(digest, n) LEFT JOIN ledger l USING (digest));
END
$$;
COMMENT ON FUNCTION milter_ledger IS 'Claims, completes or forgets copies; answers the state of each';

-- 4: jobs that a filter may ask of the daemon.
CREATE FUNCTION milter_job(new_kind text, new_key text, new_payload text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	IF new_kind NOT IN ('auto-request', 'acme-challenge', 'notice') THEN
		RAISE EXCEPTION 'a filter may not ask for jobs of kind %', new_kind;
	END IF;
	IF length(new_key) > 1000 OR length(new_payload) > 100000 THEN
		RAISE EXCEPTION 'the job is too large';
	END IF;
	INSERT INTO job (kind, key, payload, due) VALUES (new_kind, new_key, new_payload, now())
		ON CONFLICT (kind, key) WHERE state IN ('due', 'running') DO NOTHING;
END
$$;
COMMENT ON FUNCTION milter_job IS 'Asks the daemon for work, of the kinds that a filter may ask for';

REVOKE ALL ON FUNCTION milter_audit, milter_harvest, milter_ledger, milter_job, change_append,
	audit_message_day, audit_message_drop FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO postseal_milter, postseal_readonly;
GRANT SELECT ON change_log, certificate, certificate_email, private_key, root, crl, crl_entry,
	ctl_entry, scope, selection, ca, ca_default, ledger
	TO postseal_milter, postseal_readonly;
-- Sealed preferences are the daemon's alone.
GRANT SELECT (scope, name, value, changed) ON preference TO postseal_milter, postseal_readonly;
GRANT EXECUTE ON FUNCTION milter_audit, milter_harvest, milter_ledger, milter_job
	TO postseal_milter;
DO $$
BEGIN
	IF to_regclass('schema_migration') IS NOT NULL THEN
		GRANT SELECT ON schema_migration TO postseal_milter, postseal_readonly;
	END IF;
END
$$;
