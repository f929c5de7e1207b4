-- oldest-program: 0.1.0
-- The ledger of copies says who is about a copy, and knows markers; its functions are narrow.

ALTER TABLE ledger ADD COLUMN holder bytea, ADD COLUMN held_until timestamptz;
ALTER TABLE ledger DROP CONSTRAINT IF EXISTS ledger_state_check;
ALTER TABLE ledger ADD CONSTRAINT ledger_state_check
	CHECK (state IN ('claimed', 'completed', 'consumed'));
ALTER TABLE ledger ADD CONSTRAINT ledger_digest_check
	CHECK (octet_length(digest) = CASE state WHEN 'consumed' THEN 16 ELSE 32 END);
COMMENT ON TABLE ledger IS
	'Copies that were handed to the MTA, so that a retry does not repeat them; markers that were seen';
COMMENT ON COLUMN ledger.digest IS 'HMAC over sender, recipient and message; of a marker its nonce';
COMMENT ON COLUMN ledger.state IS
	'claimed before DATA, completed after the MTA''s 250; consumed: a marker''s nonce';
COMMENT ON COLUMN ledger.holder IS 'The try of the message that has claimed it; NULL: none';
COMMENT ON COLUMN ledger.held_until IS 'Until then no other try may send this copy; NULL: any may';
-- Is there anything at all that a retry might find?
CREATE INDEX ledger_completed ON ledger (expires) WHERE state = 'completed';

-- Nobody has called it yet, and it takes too much.
DROP FUNCTION milter_ledger(text, bytea[], text, interval);

-- digests: of each copy one under every generation of the master key, the newest first.
CREATE FUNCTION ledger_check(digests bytea[], generations integer) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
	IF coalesce(generations, 0) NOT BETWEEN 1 AND 4
			OR coalesce(cardinality(digests), 0) NOT BETWEEN 1 AND 4000
			OR cardinality(digests) % generations <> 0
			OR EXISTS (SELECT 1 FROM unnest(digests) AS d
				WHERE coalesce(octet_length(d), 0) <> 32) THEN
		RAISE EXCEPTION 'these are no digests of copies';
	END IF;
	-- What it says counts after a crash, whatever a database was set to.
	IF current_setting('synchronous_commit') IN ('off', 'local') THEN
		PERFORM set_config('synchronous_commit', 'on', true);
	END IF;
END
$$;
COMMENT ON FUNCTION ledger_check IS 'Refuses what cannot be digests of copies; makes the commit wait';

CREATE FUNCTION milter_ledger_claim(digests bytea[], generations integer, claimant bytea,
	lease interval) RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
	done bytea[];    -- completed, before or meanwhile
	touched bytea[]; -- claimed by some try before this one
	taken bytea[];   -- now claimed
BEGIN
	PERFORM ledger_check(digests, generations);
	IF coalesce(octet_length(claimant), 0) <> 16
			OR coalesce(lease, interval '1 day') NOT BETWEEN interval '0' AND interval '1 hour' THEN
		RAISE EXCEPTION 'a copy cannot be claimed for % by this holder', lease;
	END IF;
	SELECT array_agg(l.digest) FILTER (WHERE l.state = 'completed'), array_agg(l.digest)
		INTO done, touched FROM ledger l WHERE l.digest = ANY (digests) AND l.expires > now();
	WITH wanted AS (
		SELECT (d.n - 1) / generations AS copy, d.n, d.digest
			FROM unnest(digests) WITH ORDINALITY AS d(digest, n)
	), open AS (
		SELECT DISTINCT w.digest FROM wanted w WHERE (w.n - 1) % generations = 0
			AND NOT EXISTS (SELECT 1 FROM wanted o LEFT JOIN ledger l USING (digest)
				WHERE o.copy = w.copy AND (o.digest = ANY (done) OR (o.n <> w.n
				AND l.expires > now() AND l.held_until > now() AND l.holder <> claimant)))
	), claimed AS (
		INSERT INTO ledger AS l (digest, state, holder, held_until, expires)
			SELECT o.digest, 'claimed', claimant, now() + lease, now() + interval '7 days'
			FROM open o ORDER BY o.digest
			ON CONFLICT (digest) DO UPDATE SET state = 'claimed', queue_id = NULL,
				holder = EXCLUDED.holder, held_until = EXCLUDED.held_until,
				expires = EXCLUDED.expires
			WHERE l.expires <= now() OR (l.state = 'claimed' AND
				(l.held_until IS NULL OR l.held_until <= now() OR l.holder = claimant))
			RETURNING l.digest
	)
	SELECT array_agg(c.digest) INTO taken FROM claimed c;
	SELECT array_agg(l.digest) INTO done FROM ledger l
		WHERE l.digest = ANY (digests) AND l.state = 'completed' AND l.expires > now();
	RETURN (SELECT array_agg(s.state ORDER BY s.copy) FROM (
		SELECT (d.n - 1) / generations AS copy, CASE
			WHEN bool_or(d.digest = ANY (done)) THEN 'completed'
			WHEN bool_or(d.digest = ANY (taken)) IS NOT TRUE THEN 'held'
			WHEN bool_or(d.digest = ANY (touched)) THEN 'repeated'
			ELSE 'new' END AS state
		FROM unnest(digests) WITH ORDINALITY AS d(digest, n) GROUP BY 1) AS s);
END
$$;
COMMENT ON FUNCTION milter_ledger_claim IS
	'Claims copies for one try of a message: new, repeated, held or completed of each';

CREATE FUNCTION milter_ledger_complete(digests bytea[], generations integer, mta_queue_id text)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	PERFORM ledger_check(digests, generations);
	INSERT INTO ledger (digest, state, queue_id, expires)
		SELECT DISTINCT d.digest, 'completed', left(mta_queue_id, 255), now() + interval '7 days'
		FROM unnest(digests) WITH ORDINALITY AS d(digest, n) WHERE (d.n - 1) % generations = 0
		ORDER BY d.digest
		ON CONFLICT (digest) DO UPDATE SET state = 'completed', queue_id = EXCLUDED.queue_id,
			holder = NULL, held_until = NULL, expires = EXCLUDED.expires;
END
$$;
COMMENT ON FUNCTION milter_ledger_complete IS 'Notes that the MTA has taken copies';

CREATE FUNCTION milter_ledger_release(digests bytea[], generations integer, claimant bytea,
	not_sent boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	PERFORM ledger_check(digests, generations);
	IF not_sent THEN
		DELETE FROM ledger WHERE digest = ANY (digests) AND state = 'claimed'
			AND holder = claimant;
	ELSE
		UPDATE ledger SET holder = NULL, held_until = NULL
			WHERE digest = ANY (digests) AND state = 'claimed' AND holder = claimant;
	END IF;
END
$$;
COMMENT ON FUNCTION milter_ledger_release IS 'Ends the claim of one try of a message';

CREATE FUNCTION milter_ledger_forget(digests bytea[], generations integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	PERFORM ledger_check(digests, generations);
	DELETE FROM ledger WHERE digest = ANY (digests) AND state <> 'consumed';
END
$$;
COMMENT ON FUNCTION milter_ledger_forget IS 'Drops the copies of a message that is accepted';

CREATE FUNCTION milter_nonce(nonce bytea, keep interval) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	IF coalesce(octet_length(nonce), 0) <> 16
			OR coalesce(keep, interval '2 days') NOT BETWEEN interval '0' AND interval '1 day' THEN
		RAISE EXCEPTION 'this is no nonce of a marker';
	END IF;
	IF current_setting('synchronous_commit') IN ('off', 'local') THEN
		PERFORM set_config('synchronous_commit', 'on', true);
	END IF;
	INSERT INTO ledger (digest, state, expires) VALUES (nonce, 'consumed', now() + keep)
		ON CONFLICT (digest) DO NOTHING;
	RETURN FOUND;
END
$$;
COMMENT ON FUNCTION milter_nonce IS 'Consumes the nonce of a marker: true the first time alone';

REVOKE ALL ON FUNCTION ledger_check, milter_ledger_claim, milter_ledger_complete,
	milter_ledger_release, milter_ledger_forget, milter_nonce FROM PUBLIC;
GRANT EXECUTE ON FUNCTION milter_ledger_claim, milter_ledger_complete, milter_ledger_release,
	milter_ledger_forget, milter_nonce TO postseal_milter;
