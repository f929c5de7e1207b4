-- oldest-program: 0.1.0
-- the built-in CA: profiles, extensions, renewal.

SELECT 1;
