-- oldest-program: 0.1.0
-- Whose alias is this address? Asked for every address that the caches do not know.

CREATE INDEX preference_aliases ON preference USING gin (string_to_array(value, ' '))
	WHERE name = 'aliases';
