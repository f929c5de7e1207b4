-- oldest-program: 0.1.0
-- Searching a million certificates by a part of a name or address, without reading them all.

-- Upper and lower case are the same in every script where ICU is there, else in ASCII alone.
DO $$
BEGIN
	EXECUTE format('CREATE FUNCTION searched(shown text) RETURNS text'
		' LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L',
		CASE WHEN EXISTS (SELECT FROM pg_collation
				WHERE collname = 'und-x-icu' AND collnamespace = 'pg_catalog'::regnamespace)
			THEN 'SELECT lower(shown COLLATE pg_catalog."und-x-icu")'
			ELSE 'SELECT lower(shown)' END);
END
$$;
COMMENT ON FUNCTION searched IS 'A name as searches compare it';
REVOKE EXECUTE ON FUNCTION searched FROM PUBLIC;

-- The extension has a schema of its own, so that a restore, which puts public aside, leaves it
-- where it is. Where it may not be made everything works, more slowly; called again by every
-- 'db migrate', it makes up for that when it has become possible.
CREATE FUNCTION search_indexes() RETURNS boolean
LANGUAGE plpgsql SET search_path = public, pg_temp SET client_min_messages = warning AS $$
DECLARE
	place text;
BEGIN
	BEGIN
		CREATE SCHEMA IF NOT EXISTS postseal_search;
		CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA postseal_search;
		IF (SELECT extnamespace FROM pg_extension WHERE extname = 'pg_trgm')
				= 'public'::regnamespace THEN
			ALTER EXTENSION pg_trgm SET SCHEMA postseal_search;
		END IF;
	EXCEPTION
		WHEN insufficient_privilege OR undefined_file OR undefined_object
			OR feature_not_supported THEN NULL;
	END;
	SELECT n.nspname INTO place FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
		WHERE e.extname = 'pg_trgm' AND n.nspname <> 'public';
	IF place IS NULL THEN
		RETURN false;
	END IF;
	EXECUTE format('CREATE INDEX IF NOT EXISTS certificate_words ON certificate USING gin'
		' (searched(subject) %1$I.gin_trgm_ops, searched(issuer) %1$I.gin_trgm_ops)', place);
	EXECUTE format('CREATE INDEX IF NOT EXISTS certificate_email_words ON certificate_email'
		' USING gin (email %I.gin_trgm_ops)', place);
	RETURN true;
END
$$;
COMMENT ON FUNCTION search_indexes IS 'Makes the indexes for parts of names, if the extension pg_trgm can be had; says whether they are there';
REVOKE EXECUTE ON FUNCTION search_indexes FROM PUBLIC;
SELECT search_indexes();

CREATE INDEX certificate_serial ON certificate (serial);
