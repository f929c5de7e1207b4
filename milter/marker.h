/*
 * marker - a header field by which the filter knows a copy that it has injected itself.
 *
 * "v=1; g=GENERATION; t=SECONDS; n=NONCE; h=HMAC" in X-Postseal-Marker. The HMAC-SHA-256 is under
 * HKDF(master key, "marker", generation) over version, envelope sender, sorted envelope recipients,
 * nonce, time and the SHA-256 of the body; so a marker fits one copy alone. It counts for ten
 * minutes, from reinject_networks, once: the nonce is consumed in the database.
 * The body is digested with each line end as one (CR before LF does not count) and without its last
 * empty lines: what a mail server may do to it between SMTP and milter.
 * A field of that name is removed whatever it says. Comparison takes constant time.
 * Threads: any.
 */
#ifndef MILTER_MARKER_H
#define MILTER_MARKER_H

#include <glib.h>

#define MARKER_FIELD "X-Postseal-Marker"
#define MARKER_LIFE_SECONDS 600
#define MARKER_SKEW_SECONDS 60 /* clocks of several filters differ */

struct db;
struct headers;
struct keyring;
struct settings;
struct spool;

/* What a marker speaks for. */
struct marker_subject {
	const char *sender;            /* bare; "" is the null sender */
	const char *const *recipients; /* bare, in any order */
	guint count;
	struct spool *body;
};

enum marker_check {
	MARKER_NONE,      /* no field of that name */
	MARKER_GOOD,      /* our own copy */
	MARKER_OFF,       /* reinject_marker is off: whoever sends one is a stranger */
	MARKER_NETWORK,   /* not from reinject_networks */
	MARKER_MALFORMED, /* or several */
	MARKER_TIME,      /* too old, or from the future */
	MARKER_WRONG,     /* another message, recipient, sender or key */
	MARKER_USED,      /* seen before */
	MARKER_UNKNOWN,   /* could not be found out: the message must be deferred */
};

/* The field's value with its leading blank, or NULL with *error. */
char *marker_make(struct keyring *keyring, const struct marker_subject *subject, gint64 now,
		  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* client: envelope->client_address, may be NULL. Consumes the nonce where all else is right.
 * *error is set with MARKER_UNKNOWN alone. */
enum marker_check marker_verify(struct keyring *keyring, struct db *db,
				const struct settings *settings, const struct headers *headers,
				const char *client, const struct marker_subject *subject,
				gint64 now, GError **error);
const char *marker_check_text(enum marker_check check); /* for the log; "" for NONE */

#endif
