-- oldest-program: 0.1.0
-- requests by the thousand, and keys made ahead.

SELECT 1;
