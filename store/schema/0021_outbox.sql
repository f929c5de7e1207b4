-- oldest-program: 0.1.0
-- bundles on their way to users.

SELECT 1;
