/*
 * directory - asks the directories (LDAP servers) that serve an address for its certificates.
 *
 * The daemon's work: filters only ask for it (pki/directory_wait). All servers of the domain are
 * asked at once, but for those whose circuit breaker is open. What they return for an address is
 * stored for it only when the certificate itself names it, and counts as harvested: it is trusted
 * for its path alone, waits where rule S1 says so, and there is a limit to it.
 * Threads: any. Errors: TEMPORARY when the database cannot be asked; a server that does not answer
 * is an answer (failed).
 */
#ifndef PKI_DIRECTORY_H
#define PKI_DIRECTORY_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/mailaddr.h"
#include "store/directories.h"

#define DIRECTORY_TIMEOUT_MS 5000 /* of one server */
#define DIRECTORY_FILTER_DEFAULT "(mail=%s)"

struct clock;
struct keyring;
struct preference_cache;
struct settings;
struct trust;

struct directory {
	struct db *db;
	struct clock *clock;
	struct keyring *keyring;
	struct trust *trust;
	struct preference_cache *preferences;
	const struct settings *settings;
};

/* What one server said. */
struct directory_reply {
	char *server;
	enum directory_outcome outcome;
	gboolean not_asked; /* its breaker is open */
	GPtrArray *certs;   /* of struct cert *, that fit */
	char *note;         /* one line */
};

/* Asks, stores, and writes the answer that filters wait for. */
gboolean directory_ask(const struct directory *directory, const struct mailaddr *address,
		       struct directory_answer_row **answer,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Asks and stores nothing, breaker or not; only: one server, NULL: all that serve the domain.
 * Of struct directory_reply *; NOT_FOUND when there is none to be asked. */
GPtrArray *directory_try(const struct directory *directory, const char *only,
			 const struct mailaddr *address, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void directory_reply_free(struct directory_reply *reply);

/* The filter with the address in each %s, escaped as RFC 4515 says. */
char *directory_filter(const char *filter, const struct mailaddr *address);
/* INVALID: no %s, or parentheses that do not match. */
gboolean directory_filter_check(const char *filter, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
