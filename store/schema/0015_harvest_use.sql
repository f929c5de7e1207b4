-- oldest-program: 0.1.0
-- Which certificates that came by themselves were ever used: the others go after a while.

ALTER TABLE certificate ADD COLUMN used date;
COMMENT ON COLUMN certificate.used IS
	'Last day on which mail was encrypted to it, where it came by itself; NULL: never';
-- Beside certificate_harvest of 0004, which is ordered by sender.
CREATE INDEX certificate_unused ON certificate (created) WHERE origin = 'harvest' AND used IS NULL;

CREATE FUNCTION milter_used(thumbprints text[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
	UPDATE certificate SET used = current_date
		WHERE thumbprint = ANY (thumbprints[1:1000]) AND origin NOT IN ('import', 'handler')
		AND used IS DISTINCT FROM current_date;
$$;
COMMENT ON FUNCTION milter_used IS 'Notes that mail was encrypted to certificates today';
REVOKE ALL ON FUNCTION milter_used FROM PUBLIC;
GRANT EXECUTE ON FUNCTION milter_used TO postseal_milter;
