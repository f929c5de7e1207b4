-- oldest-program: 0.1.0
-- keys made ahead do not come back: not with a replica that lagged, not with an old disk.

DELETE FROM ready_key;
ALTER TABLE ready_key
	ADD COLUMN server_start timestamptz NOT NULL DEFAULT pg_postmaster_start_time();
COMMENT ON COLUMN ready_key.server_start IS 'Which run of which server it was put into; in any other it may have been handed out already';
GRANT SELECT (server_start) ON ready_key TO postseal_readonly;
