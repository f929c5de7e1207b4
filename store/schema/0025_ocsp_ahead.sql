-- oldest-program: 0.1.0
-- answers of our OCSP responder that are signed before anybody asks.

ALTER TABLE ocsp_answer ALTER COLUMN asked DROP NOT NULL;
COMMENT ON COLUMN ocsp_answer.asked IS 'When somebody asked last, exact to half of its validity; NULL: nobody has, it was signed ahead';
