-- oldest-program: 0.1.0
-- Work that is asked for while the same work is under way: what is under way may have looked already.

ALTER TABLE job ADD COLUMN again timestamptz;
COMMENT ON COLUMN job.again IS 'Asked for while it was running: due again then; NULL: was not';
