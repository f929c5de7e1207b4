/*
 * enroll - a certificate request as a state machine that is saved at every change.
 *
 * new -> keyed (key and CSR stored) -> pending (handed in) -> issued, or failed, or rejected.
 * Interrupted anywhere, the next run goes on from the row and never asks twice for what was
 * answered: who asks a CA holds a lease on the row; one that runs out without an answer counts as
 * an answer that was lost. Every certificate that comes back is checked: our key, the address
 * asked for, usages, dates, its chain (handler contract). Threads: any number, in any number of
 * daemons, also on the same request.
 */
#ifndef PKI_ENROLL_H
#define PKI_ENROLL_H

#include <glib.h>

#include "store/requests.h"

struct cert;
struct clock;
struct db;
struct delivery_options;
struct handler;
struct keyring;
struct settings;
struct tx;

struct enroll {
	struct db *db;
	struct keyring *keyring;
	struct clock *clock;
	const struct settings *settings;     /* for handlers that ask others, and deliveries */
	gboolean (*stopping)(gpointer data); /* the program stops; may be NULL */
	gpointer data;
	/* Which handlers there are; NULL: those of handlers.h. */
	const struct handler *(*find_handler)(const char *name, GError **error);
};

enum enroll_choice { ENROLL_AS_DEFAULT, ENROLL_YES, ENROLL_NO };

/* What a person asks for; NULL and 0 take the defaults of store/cas. */
struct enroll_order {
	const char *email, *common_name, *organisation, *first_name, *last_name;
	const char *handler, *handler_config, *ca, *key, *digest, *profile;
	gint64 validity_days;
	enum enroll_choice crl_url; /* put a CRL distribution point in */
	const char *options;        /* JSON kept with the request */
	const char *requester;
	const char *key_use;          /* "dual" (NULL), "sign", "encrypt"; "pair": two requests */
	const char *const *dns_names; /* for profiles of TLS; or NULL */
	const char *renews;           /* thumbprint of what it is to replace, or NULL */
	gint64 batch_id;              /* of the bulk run; 0: none */
	const struct delivery_options *delivery; /* NULL: nothing is sent */
};

/* Checks and stores the request (state new), and has it worked on; nothing is made yet. INVALID
   says what is wrong, or what handler or delivery lack. *id: of a pair the signing half. */
gboolean enroll_create(const struct enroll *enroll, struct tx *tx, const struct enroll_order *order,
		       gint64 *id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Goes on as far as possible now; *row (may be NULL) is the request afterwards. A peer's refusal
   is a state, not an error. One that somebody else works on is left to him. */
gboolean enroll_advance(const struct enroll *enroll, gint64 id, struct request_row **row,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same without asking others, who take their time: key and CSR, and the answer of handlers
   that answer at once. The workers do the rest. */
gboolean enroll_prepare(const struct enroll *enroll, gint64 id, struct request_row **row,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The oldest due request of this configuration; *id 0: none was due. */
gboolean enroll_work_one(const struct enroll *enroll, const char *handler, const char *config,
			 gint64 *id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Works on what is due; *worked counts. */
gboolean enroll_run_due(const struct enroll *enroll, gint limit, guint *worked,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Ends what has waited for too long; *ended counts. */
gboolean enroll_give_up(const struct enroll *enroll, guint *ended,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Due now, whatever its schedule; a failed one starts again, and what the CA gave and the checks
   refused is looked at once more (anew TRUE: is thrown away and asked for again). DENIED while it
   is being asked. */
gboolean enroll_retry(const struct enroll *enroll, struct tx *tx, gint64 id, gboolean anew,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What the checks refused is taken all the same, by a person's word; only the key must fit. */
gboolean enroll_accept(const struct enroll *enroll, struct tx *tx, gint64 id,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Ends an open one. DENIED while it is being asked. */
gboolean enroll_cancel(const struct enroll *enroll, struct tx *tx, gint64 id, const char *who,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean enroll_delete(const struct enroll *enroll, struct tx *tx, gint64 id,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Certificates that a person brings; each finds its request by its key. along: struct cert that
   came in the same files, or NULL. *note (owned, may be NULL): a remark, e.g. that its chain is not
   complete. */
gboolean enroll_take_cert(const struct enroll *enroll, struct tx *tx, struct cert *cert,
			  GPtrArray *along, gint64 *request_id, char **note,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is somebody working on it right now? */
gboolean enroll_is_asked(const struct request_row *row, gint64 now);

#endif
