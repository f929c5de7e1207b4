/* side - see side.h. */
#include "milter/policy/side.h"

#include <string.h>

#include "store/base/mailaddr.h"

void
side_clear(struct side *side)
{
	for (guint i = 0; i < side->count; i++)
		preference_set_unref(side->sets[i]);
	side->count = 0;
}

enum preference_value
side_choice(const struct side *side, enum preference preference)
{
	enum preference_value value = preference_choice(side->sets[0], preference);

	for (guint i = 1; i < side->count; i++)
		value = preference_stricter(value, preference_choice(side->sets[i], preference));
	return value;
}

gboolean
side_on(const struct side *side, enum preference preference)
{
	for (guint i = 0; i < side->count; i++) {
		if (preference_on(side->sets[i], preference))
			return TRUE;
	}
	return FALSE;
}

gboolean
side_is_observed(const struct side *side)
{
	for (guint i = 0; i < side->count; i++) {
		if (preference_choice(side->sets[i], PREF_MODE) != VALUE_MODE_OBSERVE)
			return FALSE;
	}
	return side->count > 0;
}

guint64
side_size_max(const struct side *side, enum preference preference)
{
	guint64 size = 0;

	for (guint i = 0; i < side->count; i++) {
		gint64 own = preference_size(side->sets[i], preference);

		if (own > 0 && (size == 0 || (guint64)own < size))
			size = (guint64)own;
	}
	return size;
}

static enum preference_value
side_mode(const struct side *side, enum preference preference, enum preference_value nothing)
{
	enum preference_value value = nothing;

	for (guint i = 0; i < side->count; i++) {
		if (preference_on(side->sets[i], PREF_SMIME))
			value = preference_stricter(value,
						    preference_choice(side->sets[i], preference));
	}
	return value;
}

enum preference_value
side_encrypt_mode(const struct side *side)
{
	return side_mode(side, PREF_ENCRYPT_MODE, VALUE_ENCRYPT_MODE_NONE);
}

enum preference_value
side_sign_mode(const struct side *side)
{
	return side_mode(side, PREF_SIGN_MODE, VALUE_SIGN_MODE_NEVER);
}

struct mailaddr *
side_alias_owner(const struct preference_set *set)
{
	const char *scope = preference_scope(set, PREF_ALIASES);

	if (!g_str_has_prefix(scope, "user "))
		return NULL;
	return mailaddr_parse(scope + strlen("user "), NULL);
}
