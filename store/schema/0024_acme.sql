-- oldest-program: 0.1.0
-- orders and challenges of ACME.

SELECT 1;
