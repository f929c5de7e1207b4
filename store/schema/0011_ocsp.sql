-- oldest-program: 0.1.0
-- What OCSP responders answered. The values of the preferences ocsp_* get names of their own.

CREATE TABLE ocsp (
	issuer_key text COLLATE "C" NOT NULL,
	issuer_spki text COLLATE "C" NOT NULL,
	serial text COLLATE "C" NOT NULL,
	status text CHECK (status IN ('good', 'revoked', 'unknown')),
	this_update timestamptz,
	next_update timestamptz,
	revoked_at timestamptz,
	reason integer NOT NULL DEFAULT 0,
	url text,
	host text COLLATE "C",
	answered timestamptz,
	last_try timestamptz,
	next_try timestamptz NOT NULL,
	attempts integer NOT NULL DEFAULT 0,
	error text,
	wanted timestamptz,
	PRIMARY KEY (issuer_key, serial, issuer_spki),
	CHECK (status IS NULL OR (this_update IS NOT NULL AND next_update IS NOT NULL)),
	CHECK (status IS DISTINCT FROM 'revoked' OR revoked_at IS NOT NULL)
);
COMMENT ON TABLE ocsp IS 'Answers of OCSP responders, verified when they came in, and questions that failed';
COMMENT ON COLUMN ocsp.issuer_key IS 'SHA-256 of the canonical issuer, hex';
COMMENT ON COLUMN ocsp.issuer_spki IS 'SHA-256 of the SubjectPublicKeyInfo of the issuer, hex: one name may have had several keys';
COMMENT ON COLUMN ocsp.serial IS 'Serial number of the certificate that was asked about, lower-case hex';
COMMENT ON COLUMN ocsp.status IS 'good, revoked (for ever, but for a hold) or unknown; NULL: never answered';
COMMENT ON COLUMN ocsp.this_update IS 'When the responder knew this to be so';
COMMENT ON COLUMN ocsp.next_update IS 'Past this time only revoked counts';
COMMENT ON COLUMN ocsp.revoked_at IS 'When the certificate was revoked';
COMMENT ON COLUMN ocsp.reason IS 'Of the revocation, RFC 5280 section 5.3.1';
COMMENT ON COLUMN ocsp.url IS 'The responder that was asked last, made printable';
COMMENT ON COLUMN ocsp.host IS 'Its scheme, name and port: failures are counted by it';
COMMENT ON COLUMN ocsp.answered IS 'When the answer came in; NULL: never';
COMMENT ON COLUMN ocsp.last_try IS 'When it was asked for last';
COMMENT ON COLUMN ocsp.next_try IS 'It is not asked for again before this time';
COMMENT ON COLUMN ocsp.attempts IS 'Questions that failed since the last answer';
COMMENT ON COLUMN ocsp.error IS 'Why the last one failed; NULL: it did not';
COMMENT ON COLUMN ocsp.wanted IS 'When a judgement wanted it last; what nobody wants is not refreshed';
CREATE INDEX ocsp_last_try ON ocsp (last_try);
CREATE INDEX ocsp_wanted ON ocsp (wanted);
GRANT SELECT ON ocsp TO postseal_milter, postseal_readonly;

UPDATE preference SET value = CASE value WHEN 'required' THEN 'prefer' ELSE 'when-no-crl' END
	WHERE name IN ('ocsp_encrypt', 'ocsp_sign', 'ocsp_verify')
	AND value IN ('required', 'if-available');
SELECT change_append('preference', NULL);

-- Filters may ask for OCSP answers: at most so many questions wait at a time.
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
	IF new_kind = 'ocsp' AND 1000 <= (SELECT count(*) FROM job WHERE kind = 'ocsp'
			AND state IN ('due', 'running') AND due <= now()) THEN
		RETURN;
	END IF;
	INSERT INTO job (kind, key, payload, due) VALUES (new_kind, new_key, new_payload, now())
		ON CONFLICT (kind, key) WHERE state IN ('due', 'running') DO NOTHING;
END
$$;
