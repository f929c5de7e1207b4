-- oldest-program: 0.1.0
-- requests and configurations of handlers.

SELECT 1;
