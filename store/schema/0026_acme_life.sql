-- oldest-program: 0.1.0
-- ACME: when a CA would have its certificates renewed (RFC 9773), new keys of accounts (RFC 8555
-- section 7.3.5), a search for a lost order that goes on where it was, and who holds a request.

CREATE TABLE renewal_advice (
	thumbprint text COLLATE "C" PRIMARY KEY,
	window_start timestamptz,
	window_end timestamptz,
	renew_at timestamptz,
	asked timestamptz NOT NULL,
	next_ask timestamptz NOT NULL,
	failures integer NOT NULL DEFAULT 0,
	error text NOT NULL DEFAULT '',
	CHECK ((window_start IS NULL) = (window_end IS NULL)
		AND (window_start IS NULL) = (renew_at IS NULL))
);
COMMENT ON TABLE renewal_advice IS 'When the CAs of certificates would have these renewed';
COMMENT ON COLUMN renewal_advice.thumbprint IS 'The certificate';
COMMENT ON COLUMN renewal_advice.window_start IS 'From when on the CA would have it renewed; NULL: it does not say';
COMMENT ON COLUMN renewal_advice.window_end IS 'Until when';
COMMENT ON COLUMN renewal_advice.renew_at IS 'The moment in that window that was drawn, well before the end of the certificate';
COMMENT ON COLUMN renewal_advice.asked IS 'When the CA was asked last';
COMMENT ON COLUMN renewal_advice.next_ask IS 'When it is asked again';
COMMENT ON COLUMN renewal_advice.failures IS 'How often in a row it could not be asked';
COMMENT ON COLUMN renewal_advice.error IS 'Why; empty: it could';

CREATE TABLE acme_account_next (
	config text COLLATE "C" NOT NULL,
	directory text COLLATE "C" NOT NULL,
	algorithm text NOT NULL,
	thumbprint text COLLATE "C" NOT NULL,
	sealed bytea NOT NULL,
	generation bigint NOT NULL,
	asked timestamptz,
	created timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (config, directory),
	FOREIGN KEY (config, directory) REFERENCES acme_account ON DELETE CASCADE
);
COMMENT ON TABLE acme_account_next IS 'Keys that accounts with ACME servers are to have: kept before the server hears of them';
COMMENT ON COLUMN acme_account_next.config IS 'Named configuration of the handler';
COMMENT ON COLUMN acme_account_next.directory IS 'URL of the server''s directory';
COMMENT ON COLUMN acme_account_next.algorithm IS 'Kind and length of the key';
COMMENT ON COLUMN acme_account_next.thumbprint IS 'JWK thumbprint of the key (RFC 7638), base64url';
COMMENT ON COLUMN acme_account_next.sealed IS 'The key, sealed for this row';
COMMENT ON COLUMN acme_account_next.generation IS 'Generation of the master key that sealed it';
COMMENT ON COLUMN acme_account_next.asked IS 'When the server was asked to change to it, which it may have done; NULL: it has not';
COMMENT ON COLUMN acme_account_next.created IS 'When the key was made';

ALTER TABLE acme_order ADD COLUMN look_page text COLLATE "C";
ALTER TABLE acme_order ADD COLUMN look_at integer NOT NULL DEFAULT 0;
ALTER TABLE acme_order ADD COLUMN looks integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN acme_order.look_page IS 'Page of the account''s orders where the search for a lost one goes on; NULL: it has not begun';
COMMENT ON COLUMN acme_order.look_at IS 'How many of that page were looked at';
COMMENT ON COLUMN acme_order.looks IS 'How many were looked at in all';

-- A daemon that starts need not wait for what its predecessor on this host held.
ALTER TABLE request ADD COLUMN lease_by text;
COMMENT ON COLUMN request.lease_by IS 'Process that holds the lease: HOST/PID/START; NULL: nobody';

GRANT SELECT ON renewal_advice TO postseal_readonly;
GRANT SELECT (config, directory, algorithm, thumbprint, asked, created)
	ON acme_account_next TO postseal_readonly;
