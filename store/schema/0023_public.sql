-- oldest-program: 0.1.0
-- what is published, and answers of our own OCSP responder.

SELECT 1;
