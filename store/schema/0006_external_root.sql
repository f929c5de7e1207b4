-- oldest-program: 0.1.0
-- A CA below a root of somebody else: its request is kept until the certificate comes.

ALTER TABLE ca ADD COLUMN csr bytea;
COMMENT ON COLUMN ca.csr IS 'PKCS#10 request for the external root, DER; NULL: the root is ours';
