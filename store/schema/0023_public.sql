-- oldest-program: 0.1.0
-- what is published, and answers of our own OCSP responder.

CREATE TABLE ocsp_responder (
	thumbprint text COLLATE "C" PRIMARY KEY,
	issuer_key text COLLATE "C" NOT NULL,
	issuer_spki text COLLATE "C" NOT NULL,
	spki_sha256 text COLLATE "C" NOT NULL,
	not_after timestamptz NOT NULL,
	created timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE ocsp_responder IS 'Certificates that sign OCSP answers in the name of a CA or a root of ours';
COMMENT ON COLUMN ocsp_responder.thumbprint IS 'The certificate, in the certificate store';
COMMENT ON COLUMN ocsp_responder.issuer_key IS 'SHA-256 of the canonical name of the issuer it speaks for, hex';
COMMENT ON COLUMN ocsp_responder.issuer_spki IS 'SHA-256 of the SubjectPublicKeyInfo of that issuer, hex';
COMMENT ON COLUMN ocsp_responder.spki_sha256 IS 'Its private key';
COMMENT ON COLUMN ocsp_responder.not_after IS 'End of the certificate';
COMMENT ON COLUMN ocsp_responder.created IS 'When it was made: the newest one signs';
CREATE INDEX ocsp_responder_issuer ON ocsp_responder (issuer_key, issuer_spki);

CREATE TABLE ocsp_answer (
	issuer_key text COLLATE "C" NOT NULL,
	issuer_spki text COLLATE "C" NOT NULL,
	serial text COLLATE "C" NOT NULL,
	digest text COLLATE "C" NOT NULL CHECK (digest IN ('sha1', 'sha256')),
	der bytea NOT NULL,
	this_update timestamptz NOT NULL,
	next_update timestamptz NOT NULL,
	refresh timestamptz NOT NULL,
	asked timestamptz NOT NULL,
	PRIMARY KEY (issuer_key, serial, digest, issuer_spki)
);
COMMENT ON TABLE ocsp_answer IS 'Answers of our own OCSP responder, signed ahead; all daemons give the same';
COMMENT ON COLUMN ocsp_answer.issuer_key IS 'SHA-256 of the canonical name of the issuer, hex';
COMMENT ON COLUMN ocsp_answer.issuer_spki IS 'SHA-256 of the SubjectPublicKeyInfo of the issuer, hex';
COMMENT ON COLUMN ocsp_answer.serial IS 'Serial number that it is about, lower-case hex';
COMMENT ON COLUMN ocsp_answer.digest IS 'Digest of the CertID: sha1 or sha256';
COMMENT ON COLUMN ocsp_answer.der IS 'The OCSPResponse, DER';
COMMENT ON COLUMN ocsp_answer.this_update IS 'When this was so';
COMMENT ON COLUMN ocsp_answer.next_update IS 'Until when it may be believed';
COMMENT ON COLUMN ocsp_answer.refresh IS 'From then on it is signed anew';
COMMENT ON COLUMN ocsp_answer.asked IS 'When somebody asked last, exact to half of its validity; what nobody asks for is not signed anew';
CREATE INDEX ocsp_answer_refresh ON ocsp_answer (refresh);

-- An answer is signed under the shared lock, a revocation takes the exclusive one at its commit:
-- no answer of before outlives it. The triggers run late, so that the lock of the change log is held
-- shortly, and take that one first, as every transaction does.
CREATE FUNCTION ocsp_answer_lock(exclusive boolean) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
	IF exclusive THEN
		PERFORM pg_advisory_xact_lock(hashtext('postseal.ocsp_answer'));
	ELSE
		PERFORM pg_advisory_xact_lock_shared(hashtext('postseal.ocsp_answer'));
	END IF;
END
$$;
COMMENT ON FUNCTION ocsp_answer_lock IS 'Between those who sign OCSP answers and those who revoke';

CREATE FUNCTION ocsp_answer_revoked() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
	was record;
	name text;
BEGIN
	IF TG_OP = 'DELETE' THEN
		was := OLD;
	ELSE
		was := NEW;
	END IF;
	SELECT issuer_key INTO name FROM ca WHERE id = was.ca_id;
	IF name IS NOT NULL THEN
		PERFORM change_append('ocsp', name || ':' || was.serial);
		PERFORM pg_notify('postseal_change', '');
		PERFORM ocsp_answer_lock(true);
		DELETE FROM ocsp_answer WHERE issuer_key = name AND serial = was.serial;
	END IF;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION ocsp_answer_revoked IS 'Drops the answers about a serial that was revoked or released';
CREATE CONSTRAINT TRIGGER ocsp_answer_revoked AFTER INSERT OR UPDATE OR DELETE ON ca_revocation
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ocsp_answer_revoked();

-- A CA that is revoked takes along what it issued: all that is known about anybody is signed anew.
CREATE FUNCTION ocsp_answer_ca_revoked() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
	PERFORM change_append('ocsp', NULL);
	PERFORM pg_notify('postseal_change', '');
	PERFORM ocsp_answer_lock(true);
	DELETE FROM ocsp_answer;
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION ocsp_answer_ca_revoked IS 'Drops all answers when a root revokes a CA';
CREATE CONSTRAINT TRIGGER ocsp_answer_ca_revoked
	AFTER INSERT OR UPDATE OR DELETE ON ca_root_revocation
	DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION ocsp_answer_ca_revoked();

CREATE TABLE publish_target (
	name text COLLATE "C" PRIMARY KEY,
	host text NOT NULL,
	port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
	security text NOT NULL CHECK (security IN ('ldaps', 'starttls', 'none')),
	ca_file text NOT NULL DEFAULT '',
	entry text NOT NULL DEFAULT '',
	root_entry text NOT NULL DEFAULT '',
	bind_dn text NOT NULL DEFAULT '',
	sealed bytea,
	generation bigint,
	users text[] NOT NULL DEFAULT '{}',
	users_base text NOT NULL DEFAULT '',
	changed timestamptz NOT NULL DEFAULT now(),
	CHECK ((sealed IS NULL) = (generation IS NULL))
);
COMMENT ON TABLE publish_target IS 'LDAP servers that CA certificates, lists and users'' certificates are written to';
COMMENT ON COLUMN publish_target.name IS 'The CA that is published there';
COMMENT ON COLUMN publish_target.host IS 'Name or address of the server';
COMMENT ON COLUMN publish_target.port IS 'Its port';
COMMENT ON COLUMN publish_target.security IS 'ldaps, starttls or none';
COMMENT ON COLUMN publish_target.ca_file IS 'CAs of its TLS certificate, PEM; empty: what the system trusts';
COMMENT ON COLUMN publish_target.entry IS 'DN of the CA''s entry; empty: its certificate and lists are not written';
COMMENT ON COLUMN publish_target.root_entry IS 'DN of the entry of its root; empty: likewise';
COMMENT ON COLUMN publish_target.bind_dn IS 'Who binds; empty: anonymously';
COMMENT ON COLUMN publish_target.sealed IS 'His password, sealed; NULL: none';
COMMENT ON COLUMN publish_target.generation IS 'Master key that it is sealed under';
COMMENT ON COLUMN publish_target.users IS 'Whose certificates are written: addresses and @domains; empty: nobody''s';
COMMENT ON COLUMN publish_target.users_base IS 'DN below which users are searched by mail';
COMMENT ON COLUMN publish_target.changed IS 'When it was set';

CREATE TABLE publication (
	target text COLLATE "C" NOT NULL,
	object text COLLATE "C" NOT NULL,
	digest text COLLATE "C" NOT NULL DEFAULT '',
	published timestamptz,
	attempts integer NOT NULL DEFAULT 0,
	next_try timestamptz,
	error text NOT NULL DEFAULT '',
	PRIMARY KEY (target, object)
);
COMMENT ON TABLE publication IS 'What was written where: folders of a host and LDAP servers';
COMMENT ON COLUMN publication.target IS 'dir:HOST:FOLDER, or ldap:NAME';
COMMENT ON COLUMN publication.object IS 'The file (ca/KEYID.cer, crl/KEYID.crl), the entry (ca, root) or user/THUMBPRINT';
COMMENT ON COLUMN publication.digest IS 'SHA-256 of what was written last, hex; empty: nothing yet';
COMMENT ON COLUMN publication.published IS 'When it was written last; NULL: never';
COMMENT ON COLUMN publication.attempts IS 'How often writing failed since then';
COMMENT ON COLUMN publication.next_try IS 'When it is tried again; NULL: nothing is open';
COMMENT ON COLUMN publication.error IS 'Why it failed; empty: it did not';

REVOKE ALL ON FUNCTION ocsp_answer_lock, ocsp_answer_revoked, ocsp_answer_ca_revoked FROM PUBLIC;
GRANT SELECT ON ocsp_responder, ocsp_answer, publication TO postseal_readonly;
GRANT SELECT (name, host, port, security, ca_file, entry, root_entry, bind_dn, generation, users,
	users_base, changed) ON publish_target TO postseal_readonly;
