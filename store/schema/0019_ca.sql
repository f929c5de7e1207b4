-- oldest-program: 0.1.0
-- the built-in CA: roots of its own, what was issued, lists in parts, extensions, renewal.

CREATE TABLE ca_root (
	thumbprint text COLLATE "C" PRIMARY KEY,
	name text,
	spki_sha256 text COLLATE "C" NOT NULL,
	crl_number bigint NOT NULL DEFAULT 0,
	crl_next timestamptz
);
COMMENT ON TABLE ca_root IS 'Roots that we made; the CAs below them are in ca';
COMMENT ON COLUMN ca_root.thumbprint IS 'Its certificate';
COMMENT ON COLUMN ca_root.name IS 'Its common name; NULL: of a version before';
COMMENT ON COLUMN ca_root.spki_sha256 IS 'Its private key';
COMMENT ON COLUMN ca_root.crl_number IS 'Number of its last CRL';
COMMENT ON COLUMN ca_root.crl_next IS 'When its next CRL is due; NULL: now';
INSERT INTO ca_root (thumbprint, spki_sha256, crl_number, crl_next)
	SELECT root_thumbprint, max(root_spki_sha256), max(crl_number), min(crl_next) FROM ca
	WHERE root_thumbprint IS NOT NULL AND root_spki_sha256 IS NOT NULL GROUP BY 1;

CREATE TABLE ca_root_revocation (
	root text COLLATE "C" NOT NULL REFERENCES ca_root ON DELETE CASCADE,
	serial text COLLATE "C" NOT NULL,
	revoked_at timestamptz NOT NULL,
	reason smallint NOT NULL,
	not_after timestamptz,
	PRIMARY KEY (root, serial)
);
COMMENT ON TABLE ca_root_revocation IS 'Intermediates that we revoked; entries of the root''s next CRL';
COMMENT ON COLUMN ca_root_revocation.root IS 'The root that issued it';
COMMENT ON COLUMN ca_root_revocation.serial IS 'Serial, lower-case hex';
COMMENT ON COLUMN ca_root_revocation.revoked_at IS 'When';
COMMENT ON COLUMN ca_root_revocation.reason IS 'Reason code of RFC 5280 section 5.3.1, never 0';
COMMENT ON COLUMN ca_root_revocation.not_after IS 'End of its certificate; NULL: not known';

ALTER TABLE ca
	ADD COLUMN crl_partition integer NOT NULL DEFAULT 0,
	ADD COLUMN revoked_at timestamptz;
COMMENT ON COLUMN ca.revoked_at IS 'When our root revoked it; NULL: it did not';
COMMENT ON COLUMN ca.crl_partition IS 'Part of its CRL that new certificates belong to';

CREATE TABLE ca_issued (
	ca_id bigint NOT NULL REFERENCES ca ON DELETE CASCADE,
	serial text COLLATE "C" NOT NULL,
	crl_partition integer NOT NULL DEFAULT 0,
	not_after timestamptz NOT NULL,
	profile text NOT NULL,
	PRIMARY KEY (ca_id, serial)
);
COMMENT ON TABLE ca_issued IS 'All that our CAs issued, also what has left the certificate store';
COMMENT ON COLUMN ca_issued.ca_id IS 'The CA';
COMMENT ON COLUMN ca_issued.serial IS 'Serial, lower-case hex: never given twice';
COMMENT ON COLUMN ca_issued.crl_partition IS 'Part of the CRL that would name it';
COMMENT ON COLUMN ca_issued.not_after IS 'End of the certificate';
COMMENT ON COLUMN ca_issued.profile IS 'Its profile, in full: mailbox-strict, tls-server';
INSERT INTO ca_issued (ca_id, serial, not_after, profile)
	SELECT ca.id, c.serial, c.not_after, 'smime' FROM certificate c
	JOIN ca ON ca.thumbprint = c.own_ca WHERE NOT c.is_ca ON CONFLICT DO NOTHING;

ALTER TABLE ca_revocation
	ADD COLUMN crl_partition integer NOT NULL DEFAULT 0,
	ADD COLUMN not_after timestamptz,
	ADD COLUMN spki_sha256 text COLLATE "C";
COMMENT ON COLUMN ca_revocation.crl_partition IS 'Part of the CRL that names it';
COMMENT ON COLUMN ca_revocation.not_after IS 'End of the certificate; NULL: not known, the entry stays';
COMMENT ON COLUMN ca_revocation.spki_sha256 IS 'Its key, which no new certificate gets; NULL: not known';
UPDATE ca_revocation r SET not_after = c.not_after, spki_sha256 = c.spki_sha256
	FROM ca JOIN certificate c ON c.own_ca = ca.thumbprint
	WHERE r.ca_id = ca.id AND c.serial = r.serial;
CREATE INDEX ca_revocation_key ON ca_revocation (spki_sha256) WHERE spki_sha256 IS NOT NULL;
CREATE INDEX ca_revocation_part ON ca_revocation (ca_id, crl_partition);

CREATE TABLE ca_list (
	issuer text COLLATE "C" NOT NULL,
	crl_partition integer NOT NULL DEFAULT 0,
	key_id text COLLATE "C" NOT NULL,
	urls text[] NOT NULL DEFAULT '{}',
	number bigint,
	thumbprint text COLLATE "C",
	made timestamptz,
	next_update timestamptz,
	PRIMARY KEY (issuer, crl_partition)
);
COMMENT ON TABLE ca_list IS 'The lists that our CAs and roots keep, one row a part';
COMMENT ON COLUMN ca_list.issuer IS 'Thumbprint of the certificate that signs it';
COMMENT ON COLUMN ca_list.crl_partition IS 'Which part; 0: the first, or everything';
COMMENT ON COLUMN ca_list.key_id IS 'Key identifier of the issuer, hex: the name of the file';
COMMENT ON COLUMN ca_list.urls IS 'Distribution points that certificates of this part name';
COMMENT ON COLUMN ca_list.number IS 'Number of the last one made';
COMMENT ON COLUMN ca_list.thumbprint IS 'The last one made, in crl; NULL: none yet';
COMMENT ON COLUMN ca_list.made IS 'When that was';
COMMENT ON COLUMN ca_list.next_update IS 'Until when that is good';
CREATE INDEX ca_list_key_id ON ca_list (key_id);

CREATE TABLE ca_extension (
	ca_id bigint NOT NULL REFERENCES ca ON DELETE CASCADE,
	profile text COLLATE "C" NOT NULL,
	name text COLLATE "C" NOT NULL,
	value text NOT NULL,
	changed timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (ca_id, profile, name)
);
COMMENT ON TABLE ca_extension IS 'Extensions of a site''s own in what a CA issues';
COMMENT ON COLUMN ca_extension.ca_id IS 'The CA';
COMMENT ON COLUMN ca_extension.profile IS 'Name of the profile; empty: all';
COMMENT ON COLUMN ca_extension.name IS 'Extension by OpenSSL''s name, or OID';
COMMENT ON COLUMN ca_extension.value IS 'Its value in OpenSSL''s syntax';
COMMENT ON COLUMN ca_extension.changed IS 'When it was set';

CREATE TABLE renewal (
	thumbprint text COLLATE "C" PRIMARY KEY,
	attempts integer NOT NULL DEFAULT 0,
	next_try timestamptz NOT NULL,
	request_id bigint,
	note text NOT NULL DEFAULT ''
);
COMMENT ON TABLE renewal IS 'Certificates about to end that the job renew has looked at';
COMMENT ON COLUMN renewal.thumbprint IS 'The certificate that is to be renewed';
COMMENT ON COLUMN renewal.attempts IS 'How often it was looked at';
COMMENT ON COLUMN renewal.next_try IS 'When it is looked at again';
COMMENT ON COLUMN renewal.request_id IS 'The last request; NULL: none was made';
COMMENT ON COLUMN renewal.note IS 'What came of it, as a sentence';

CREATE TABLE user_left (
	address text COLLATE "C" PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE user_left IS 'Users that were deleted: their certificates are not renewed by themselves';
COMMENT ON COLUMN user_left.address IS 'Address, normalised';
COMMENT ON COLUMN user_left.at IS 'When';

CREATE FUNCTION user_comes_and_goes() RETURNS trigger LANGUAGE plpgsql
SET search_path = public, pg_temp AS $$
BEGIN
	IF TG_OP = 'DELETE' THEN
		INSERT INTO user_left (address) VALUES (OLD.name) ON CONFLICT DO NOTHING;
	ELSE
		DELETE FROM user_left WHERE address = NEW.name;
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION user_comes_and_goes IS 'Keeps user_left';
REVOKE ALL ON FUNCTION user_comes_and_goes FROM PUBLIC;
CREATE TRIGGER scope_user_gone AFTER DELETE ON scope
	FOR EACH ROW WHEN (OLD.kind = 'user') EXECUTE FUNCTION user_comes_and_goes();
CREATE TRIGGER scope_user_new AFTER INSERT ON scope
	FOR EACH ROW WHEN (NEW.kind = 'user') EXECUTE FUNCTION user_comes_and_goes();

GRANT SELECT ON ca_root, ca_root_revocation, ca_issued, ca_list, ca_extension, renewal, user_left
	TO postseal_milter, postseal_readonly;
