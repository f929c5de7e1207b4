-- oldest-program: 0.1.0
-- What is fetched from elsewhere: CRLs and missing intermediates, one row a URL.

CREATE TABLE fetch_url (
	url text COLLATE "C" PRIMARY KEY,
	kind text NOT NULL CHECK (kind IN ('crl', 'issuer')),
	state text NOT NULL DEFAULT 'never' CHECK (state IN ('never', 'failed', 'good')),
	result text NOT NULL DEFAULT '',
	etag text,
	last_modified timestamptz,
	last_try timestamptz,
	last_success timestamptz,
	next_try timestamptz,
	failures integer NOT NULL DEFAULT 0,
	yield text COLLATE "C",
	certificates bigint NOT NULL DEFAULT 0,
	by_hand boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE fetch_url IS 'URLs that are fetched, and how the last try went; a job of kind fetch does it';
COMMENT ON COLUMN fetch_url.url IS 'http, https, ldap or ldaps, in one spelling';
COMMENT ON COLUMN fetch_url.kind IS 'crl: a revocation list; issuer: a missing intermediate';
COMMENT ON COLUMN fetch_url.state IS 'never tried, failed, good: of the last try';
COMMENT ON COLUMN fetch_url.result IS 'What came of the last try, one sentence';
COMMENT ON COLUMN fetch_url.etag IS 'Entity tag of what was taken last; NULL: none';
COMMENT ON COLUMN fetch_url.last_modified IS 'Date that the server gave to what was taken last; NULL: none';
COMMENT ON COLUMN fetch_url.last_try IS 'When it was tried last; NULL: never';
COMMENT ON COLUMN fetch_url.last_success IS 'When it last worked; NULL: never';
COMMENT ON COLUMN fetch_url.next_try IS 'When it is due; NULL: only when the names before it in its point fail';
COMMENT ON COLUMN fetch_url.failures IS 'Tries in a row that failed';
COMMENT ON COLUMN fetch_url.yield IS 'Thumbprint of the list or certificate that it gave last';
COMMENT ON COLUMN fetch_url.certificates IS 'How many certificates name it, as of the last run';
COMMENT ON COLUMN fetch_url.by_hand IS 'An administrator asked for it: kept although no certificate names it';
CREATE INDEX fetch_next_try ON fetch_url (next_try);

CREATE TABLE fetch_point (
	digest text COLLATE "C" PRIMARY KEY,
	kind text NOT NULL CHECK (kind IN ('crl', 'issuer')),
	urls text[] COLLATE "C" NOT NULL,
	witness text COLLATE "C",
	certificates bigint NOT NULL
);
COMMENT ON TABLE fetch_point IS 'Places that certificates name; the names of one lead to the same thing';
COMMENT ON COLUMN fetch_point.digest IS 'SHA-256 of kind and urls, hex';
COMMENT ON COLUMN fetch_point.kind IS 'As in fetch_url';
COMMENT ON COLUMN fetch_point.urls IS 'Its names, in the order in which they are tried';
COMMENT ON COLUMN fetch_point.witness IS 'Thumbprint of a certificate that names it: of crl one that verifies, of issuer the one that lacks it';
COMMENT ON COLUMN fetch_point.certificates IS 'How many certificates name it, as of the last run';
CREATE INDEX fetch_point_urls ON fetch_point USING gin (urls);

CREATE TABLE fetch_issuer (
	thumbprint text COLLATE "C" PRIMARY KEY,
	depth integer NOT NULL,
	url text NOT NULL
);
COMMENT ON TABLE fetch_issuer IS 'Intermediates that were fetched because a certificate lacked its issuer';
COMMENT ON COLUMN fetch_issuer.thumbprint IS 'SHA-512 of the intermediate, hex';
COMMENT ON COLUMN fetch_issuer.depth IS '1: asked for by a certificate that did not come this way, 2: by one of depth 1 …';
COMMENT ON COLUMN fetch_issuer.url IS 'Where it came from';

CREATE TABLE fetch_run (
	one boolean PRIMARY KEY DEFAULT true CHECK (one),
	finished timestamptz NOT NULL,
	certificates bigint NOT NULL,
	points bigint NOT NULL,
	left_out bigint NOT NULL
);
COMMENT ON TABLE fetch_run IS 'The last run that collected points: one row';
COMMENT ON COLUMN fetch_run.one IS 'There is one row';
COMMENT ON COLUMN fetch_run.finished IS 'When it ended';
COMMENT ON COLUMN fetch_run.certificates IS 'Certificates that named points';
COMMENT ON COLUMN fetch_run.points IS 'Points that were taken';
COMMENT ON COLUMN fetch_run.left_out IS 'Points that were not, because there were too many hosts';

-- The value of an extension, found by its OID without decoding the certificate. It groups
-- certificates and proves nothing: bytes that look like an extension may stand anywhere.
CREATE FUNCTION certificate_extension(der bytea, oid bytea) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	at integer := position(oid IN der);
	size integer;
BEGIN
	IF at = 0 THEN
		RETURN NULL;
	END IF;
	at := at + length(oid);
	IF substring(der FROM at FOR 3) = decode('0101ff', 'hex') THEN
		at := at + 3;
	END IF;
	IF at + 4 > length(der) OR get_byte(der, at - 1) <> 4 THEN
		RETURN NULL;
	END IF;
	size := get_byte(der, at);
	IF size = 129 THEN
		RETURN substring(der FROM at + 3 FOR get_byte(der, at + 1));
	ELSIF size = 130 THEN
		RETURN substring(der FROM at + 4 FOR get_byte(der, at + 1) * 256 + get_byte(der, at + 2));
	ELSIF size > 127 THEN
		RETURN NULL;
	END IF;
	RETURN substring(der FROM at + 2 FOR size);
END
$$;
COMMENT ON FUNCTION certificate_extension IS 'The value of an extension of a certificate in DER, as far as its bytes tell';
REVOKE ALL ON FUNCTION certificate_extension FROM PUBLIC;

-- Names of those who may have issued something, without reading the whole store.
CREATE INDEX certificate_ca ON certificate (subject_key) WHERE is_ca;

-- Intermediates that were fetched have an origin of their own.
ALTER TABLE certificate DROP CONSTRAINT certificate_origin_check;
ALTER TABLE certificate ADD CONSTRAINT certificate_origin_check
	CHECK (origin IN ('import', 'harvest', 'handler', 'fetch')) NOT VALID;
COMMENT ON COLUMN certificate.origin IS 'How it came in: import, harvest, handler, fetch (an issuer that another names)';
COMMENT ON COLUMN certificate.origin_detail IS 'File name, sender of the mail, handler, or URL';

GRANT SELECT ON fetch_url, fetch_point, fetch_issuer, fetch_run TO postseal_milter, postseal_readonly;
