/* marker - see marker.h. */
#include "milter/marker.h"

#include "milter/message/headers.h"
#include "store/config/settings.h"

enum marker_check
marker_verify(struct keyring *keyring, struct db *db, const struct settings *settings,
	      const struct headers *headers, const char *client,
	      const struct marker_subject *subject, gint64 now, GError **error)
{
	(void)keyring;
	(void)db;
	(void)settings;
	(void)client;
	(void)subject;
	(void)now;
	(void)error;
	return headers_count_of(headers, MARKER_FIELD) == 0 ? MARKER_NONE : MARKER_OFF;
}

const char *
marker_check_text(enum marker_check check)
{
	return check == MARKER_NONE ? "" : "markers are off";
}
