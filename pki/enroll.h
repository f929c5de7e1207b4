/*
 * enroll - a certificate request as a state machine that is saved at every change.
 *
 * new -> keyed (key and CSR stored) -> pending (handed in) -> issued, or failed, or rejected.
 * Interrupted anywhere, the next run goes on from the row and never asks twice for what was
 * answered. Every certificate that comes back is checked: our key, the address asked for, usages,
 * dates (handler contract). Threads: any; a request is worked on under its row's lock.
 */
#ifndef PKI_ENROLL_H
#define PKI_ENROLL_H

#include <glib.h>

#include "store/requests.h"

struct cert;
struct clock;
struct db;
struct delivery_options;
struct keyring;
struct settings;
struct tx;

struct enroll {
	struct db *db;
	struct keyring *keyring;
	struct clock *clock;
	const struct settings *settings;     /* for handlers that ask others; else NULL */
	gboolean (*stopping)(gpointer data); /* the program stops; may be NULL */
	gpointer data;
};

/* What a person asks for; NULL and 0 take the defaults of store/cas. */
struct enroll_order {
	const char *email, *common_name, *organisation, *first_name, *last_name;
	const char *handler, *handler_config, *ca, *key, *digest, *profile;
	gint64 validity_days;
	gboolean crl_url;
	const char *options; /* JSON kept with the request */
	const char *requester;
	const char *key_use;          /* "dual" (NULL), "sign", "encrypt"; "pair": two requests */
	const char *const *dns_names; /* for profiles of TLS; or NULL */
	const char *renews;           /* thumbprint of what it is to replace, or NULL */
	gint64 batch_id;              /* of the bulk run; 0: none */
	const struct delivery_options *delivery; /* NULL: nothing is sent */
};

/* Checks and stores the request (state new); nothing is made yet. INVALID says what is wrong,
   or what the handler lacks to be ready. */
gboolean enroll_create(const struct enroll *enroll, struct tx *tx, const struct enroll_order *order,
		       gint64 *id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Goes on as far as possible now; *row (may be NULL) is the request afterwards. A peer's refusal
   is a state, not an error. */
gboolean enroll_advance(const struct enroll *enroll, gint64 id, struct request_row **row,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Works on what is due; *worked counts. */
gboolean enroll_run_due(const struct enroll *enroll, gint limit, guint *worked,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Due now, whatever its schedule; a failed one starts again. */
gboolean enroll_retry(const struct enroll *enroll, struct tx *tx, gint64 id,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Certificates that a person brings; each finds its request by its key. */
gboolean enroll_take_cert(const struct enroll *enroll, struct tx *tx, struct cert *cert,
			  gint64 *request_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Seconds until the next try after so many attempts: exponential with a ceiling. */
gint64 enroll_backoff(gint attempts);

#endif
