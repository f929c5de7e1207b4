-- oldest-program: 0.1.0
-- Directories (LDAP) that are asked for certificates of recipients, and what they answered.

CREATE TABLE directory_server (
	name text COLLATE "C" PRIMARY KEY,
	place integer NOT NULL DEFAULT 0,
	host text NOT NULL,
	port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
	security text NOT NULL CHECK (security IN ('ldaps', 'starttls', 'none')),
	base text NOT NULL,
	depth text NOT NULL CHECK (depth IN ('base', 'one', 'sub')),
	filter text NOT NULL,
	attributes text[] NOT NULL CHECK (cardinality(attributes) BETWEEN 1 AND 8),
	domains text[] COLLATE "C" NOT NULL CHECK (cardinality(domains) BETWEEN 1 AND 1000),
	ca_file text,
	bind_dn text,
	sealed bytea,
	generation bigint,
	failures integer NOT NULL DEFAULT 0,
	trips integer NOT NULL DEFAULT 0,
	open_until timestamptz,
	last_error text,
	failed timestamptz,
	answered timestamptz,
	created timestamptz NOT NULL DEFAULT now(),
	changed timestamptz NOT NULL DEFAULT now(),
	CHECK ((sealed IS NULL) = (generation IS NULL)),
	CHECK (sealed IS NULL OR bind_dn IS NOT NULL),
	CHECK (bind_dn IS NULL OR security <> 'none')
);
COMMENT ON TABLE directory_server IS 'LDAP servers that are asked for certificates of recipients, at most four';
COMMENT ON COLUMN directory_server.name IS 'What the administrator calls it';
COMMENT ON COLUMN directory_server.place IS 'Lower ones stand first in lists, and win where several answer';
COMMENT ON COLUMN directory_server.host IS 'Name or address; its certificate has to bear it';
COMMENT ON COLUMN directory_server.port IS 'TCP port';
COMMENT ON COLUMN directory_server.security IS 'ldaps, starttls, none';
COMMENT ON COLUMN directory_server.base IS 'Where the search begins';
COMMENT ON COLUMN directory_server.depth IS 'base, one, sub';
COMMENT ON COLUMN directory_server.filter IS 'RFC 4515 filter; %s stands for the escaped address';
COMMENT ON COLUMN directory_server.attributes IS 'Attributes that hold certificates';
COMMENT ON COLUMN directory_server.domains IS 'For whose addresses it is asked: example.com, *.example.com';
COMMENT ON COLUMN directory_server.ca_file IS 'PEM file of its CAs on the daemons'' hosts; NULL: what the system trusts';
COMMENT ON COLUMN directory_server.bind_dn IS 'Who asks; NULL: nobody (anonymous)';
COMMENT ON COLUMN directory_server.sealed IS 'Password of bind_dn, sealed for this row';
COMMENT ON COLUMN directory_server.generation IS 'Generation of the master key that sealed it';
COMMENT ON COLUMN directory_server.failures IS 'Questions in a row that it failed to answer';
COMMENT ON COLUMN directory_server.trips IS 'How often in a row the circuit breaker opened; the pause grows with it';
COMMENT ON COLUMN directory_server.open_until IS 'Not asked before; then one question tries it again; NULL: asked';
COMMENT ON COLUMN directory_server.last_error IS 'Why it failed last, in our own words';
COMMENT ON COLUMN directory_server.failed IS 'When it failed last';
COMMENT ON COLUMN directory_server.answered IS 'When it answered last';
COMMENT ON COLUMN directory_server.created IS 'When it was added';
COMMENT ON COLUMN directory_server.changed IS 'When an administrator changed it';
CREATE INDEX directory_server_generation ON directory_server (generation) WHERE generation IS NOT NULL;

CREATE TABLE directory_answer (
	email text COLLATE "C" PRIMARY KEY,
	outcome text NOT NULL CHECK (outcome IN ('found', 'none', 'failed')),
	note text NOT NULL,
	asked timestamptz NOT NULL,
	good_until timestamptz NOT NULL
);
COMMENT ON TABLE directory_answer IS 'What the directories said of an address, as long as it counts';
COMMENT ON COLUMN directory_answer.email IS 'Normalised address';
COMMENT ON COLUMN directory_answer.outcome IS 'found: certificates that name it are in the store; none: surely none; failed: not known';
COMMENT ON COLUMN directory_answer.note IS 'The same for people, one line';
COMMENT ON COLUMN directory_answer.asked IS 'When they were asked';
COMMENT ON COLUMN directory_answer.good_until IS 'Until then they are not asked again';
CREATE INDEX directory_answer_good_until ON directory_answer (good_until);

ALTER TABLE certificate DROP CONSTRAINT IF EXISTS certificate_origin_check;
ALTER TABLE certificate ADD CONSTRAINT certificate_origin_check
	CHECK (origin IN ('import', 'harvest', 'handler', 'fetch', 'directory'));
COMMENT ON COLUMN certificate.origin IS 'How it came in: import, harvest, handler, fetch (issuers by AIA), directory';
COMMENT ON COLUMN certificate.origin_detail IS 'File name, sender of the mail, handler, URL, or directory';

-- The daemons hear of the job at once, and find it due whatever the fraction of the second.
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
	INSERT INTO job (kind, key, payload, due)
		VALUES (new_kind, new_key, new_payload, date_trunc('second', now()) - interval '2 seconds')
		ON CONFLICT (kind, key) WHERE state IN ('due', 'running') DO NOTHING;
	IF FOUND THEN
		PERFORM change_append('job', new_kind);
		PERFORM pg_notify('postseal_change', '');
	END IF;
END
$$;

-- Which domains have a directory, and what it said: nothing of servers and their passwords.
GRANT SELECT (name, domains) ON directory_server TO postseal_milter, postseal_readonly;
GRANT SELECT ON directory_answer TO postseal_milter, postseal_readonly;

-- What came by itself and waits is in the record, whoever wrote it down.
CREATE FUNCTION certificate_waits() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	INSERT INTO audit_admin (actor, came_from, operation, object, detail)
		VALUES ('postseal', NEW.origin, 'cert pending', NEW.thumbprint,
			left(concat_ws(', ', NEW.subject, 'from ' || NEW.origin_detail), 1000));
	RETURN NULL;
END
$$;
COMMENT ON FUNCTION certificate_waits IS 'Records that a certificate waits for an administrator';
REVOKE ALL ON FUNCTION certificate_waits FROM PUBLIC;
CREATE TRIGGER certificate_waits AFTER INSERT ON certificate
	FOR EACH ROW WHEN (NEW.pending) EXECUTE FUNCTION certificate_waits();
