-- oldest-program: 0.1.0
-- What outbound mail rests on besides certificates: ciphers that partners have announced, mail that
-- was decrypted here and may be answered, certificates that were requested for authors. The filter
-- writes all of it through narrow functions.

-- 1: announced ciphers. Bits are those of enum cms_cipher and enum cms_transport.
CREATE TABLE capability (
	email text COLLATE "C" PRIMARY KEY,
	ciphers integer NOT NULL CHECK (ciphers BETWEEN 0 AND 31),
	transports integer NOT NULL CHECK (transports BETWEEN 0 AND 31),
	signed timestamptz NOT NULL,
	learned timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE capability IS 'What an address has announced last in a valid signature (RFC 8551 section 2.5.2)';
COMMENT ON COLUMN capability.email IS 'Normalised address';
COMMENT ON COLUMN capability.ciphers IS 'Bits: 1 aes-128-cbc, 2 aes-192-cbc, 4 aes-256-cbc, 8 aes-128-gcm, 16 aes-256-gcm';
COMMENT ON COLUMN capability.transports IS 'Bits: 4 oaep-sha256, 8 oaep-sha384, 16 oaep-sha512';
COMMENT ON COLUMN capability.signed IS 'signingTime of that signature';
COMMENT ON COLUMN capability.learned IS 'When we saw it';

CREATE FUNCTION milter_capability(new_email text, new_ciphers integer, new_transports integer,
	new_signed timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	before capability%ROWTYPE;
BEGIN
	IF coalesce(new_email, '') = '' OR length(new_email) > 1000 THEN
		RAISE EXCEPTION 'an announcement has to have an address';
	END IF;
	IF new_signed IS NULL OR NOT isfinite(new_signed) OR new_signed > now() + interval '1 day' THEN
		RETURN false;
	END IF;
	SELECT * INTO before FROM capability WHERE email = new_email FOR UPDATE;
	IF FOUND AND before.signed >= new_signed THEN
		RETURN false;
	END IF;
	INSERT INTO capability AS c (email, ciphers, transports, signed)
		VALUES (new_email, new_ciphers, new_transports, new_signed)
		ON CONFLICT (email) DO UPDATE SET ciphers = excluded.ciphers,
			transports = excluded.transports, signed = excluded.signed, learned = now()
		WHERE c.signed < excluded.signed;
	IF FOUND AND (before.email IS NULL OR before.ciphers <> new_ciphers
			OR before.transports <> new_transports) THEN
		PERFORM change_append('address', new_email);
	END IF;
	RETURN true;
END
$$;
COMMENT ON FUNCTION milter_capability IS 'Notes what a valid signature announced: the newest counts, none from the future';

-- 2: mail that was decrypted here.
CREATE TABLE decrypted_mail (
	digest bytea PRIMARY KEY CHECK (length(digest) = 32),
	seen timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE decrypted_mail IS 'Mail that was decrypted for a recipient, so that his answer to it is known';
COMMENT ON COLUMN decrypted_mail.digest IS 'HMAC over recipient and Message-ID, under a key derived from the master key';
COMMENT ON COLUMN decrypted_mail.seen IS 'When it was delivered';
CREATE INDEX decrypted_mail_seen ON decrypted_mail (seen);

CREATE FUNCTION milter_decrypted(digests bytea[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
	INSERT INTO decrypted_mail (digest) SELECT DISTINCT unnest(digests[1:1000])
		ON CONFLICT (digest) DO UPDATE SET seen = now();
$$;
COMMENT ON FUNCTION milter_decrypted IS 'Notes mail that was decrypted and delivered';

-- 3: certificates requested because an author had none: once, and not with each message.
CREATE TABLE auto_request (
	email text COLLATE "C" PRIMARY KEY,
	asked timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE auto_request IS 'Authors for whom a certificate was requested because they had none';
COMMENT ON COLUMN auto_request.email IS 'Normalised address';
COMMENT ON COLUMN auto_request.asked IS 'When the first message asked for it';
CREATE INDEX auto_request_asked ON auto_request (asked);

CREATE OR REPLACE FUNCTION milter_job(new_kind text, new_key text, new_payload text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	IF new_kind IS NULL OR new_kind NOT IN ('auto-request', 'acme-challenge', 'notice', 'ocsp',
			'directory') THEN
		RAISE EXCEPTION 'a filter may not ask for jobs of kind %', new_kind;
	END IF;
	IF length(new_key) > 1000 OR length(new_payload) > 100000 THEN
		RAISE EXCEPTION 'the job is too large';
	END IF;
	IF new_kind IN ('ocsp', 'directory') AND (CASE new_kind WHEN 'ocsp' THEN 1000 ELSE 5000 END)
			<= (SELECT count(*) FROM job WHERE kind = new_kind
			AND state IN ('due', 'running') AND due <= now()) THEN
		RETURN;
	END IF;
	IF new_kind = 'auto-request' THEN
		-- A thousand authors a day: more are no people.
		IF 1000 <= (SELECT count(*) FROM auto_request WHERE asked > now() - interval '1 day') THEN
			RETURN;
		END IF;
		INSERT INTO auto_request (email) VALUES (new_key) ON CONFLICT (email) DO NOTHING;
		IF NOT FOUND THEN
			RETURN;
		END IF;
	END IF;
	INSERT INTO job (kind, key, payload, due)
		VALUES (new_kind, new_key, new_payload, date_trunc('second', now()) - interval '2 seconds')
		ON CONFLICT (kind, key) WHERE state IN ('due', 'running') DO NOTHING;
	IF FOUND THEN
		PERFORM change_append('job', new_kind);
		PERFORM pg_notify('postseal_change', '');
	END IF;
END
$$;

-- 4: a certificate goes under the name of its own bytes, and who brings it is within bounds.
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
	IF NOT new_sender = ANY (new_emails) THEN
		RAISE EXCEPTION 'a certificate is taken from a sender whom it names';
	END IF;
	IF new_thumbprint IS DISTINCT FROM encode(sha512(new_der), 'hex') THEN
		RAISE EXCEPTION 'the thumbprint is not that of the certificate';
	END IF;
	IF length(new_der) > 65536 OR cardinality(new_emails) > 50 THEN
		RETURN 'limit';
	END IF;
	IF EXISTS (SELECT 1 FROM certificate WHERE thumbprint = new_thumbprint) THEN
		RETURN 'present';
	END IF;
	PERFORM pg_advisory_xact_lock(hashtextextended('harvest ' || new_sender, 0));
	-- Whose mail it came in is the filter's word: so there is a limit for all of them together.
	IF 5 <= (SELECT count(*) FROM certificate c WHERE c.origin = 'harvest'
			AND c.origin_detail = new_sender AND c.created > now() - interval '1 day')
		OR EXISTS (SELECT 1 FROM certificate c WHERE c.origin = 'harvest' AND c.used IS NULL
			AND c.created > now() - interval '1 day' OFFSET 20000) THEN
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

REVOKE ALL ON FUNCTION milter_capability, milter_decrypted FROM PUBLIC;
GRANT EXECUTE ON FUNCTION milter_capability, milter_decrypted TO postseal_milter;
GRANT SELECT ON capability, decrypted_mail, auto_request TO postseal_milter, postseal_readonly;
