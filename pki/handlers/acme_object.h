/*
 * acme_object - what an ACME server says, read strictly from its JSON (RFC 8555 section 7.1).
 *
 * Pure. URLs are https and bounded, tokens are base64url, lists are bounded, an unknown status is
 * an error; members that are not known are passed over. Text of problems is foreign: it goes
 * through printable() before anybody sees it. Threads: any; objects belong to the caller.
 * Errors: INVALID, without anything that the server sent.
 */
#ifndef PKI_HANDLERS_ACME_OBJECT_H
#define PKI_HANDLERS_ACME_OBJECT_H

#include <glib.h>
#include <jansson.h>

#include "store/base/cleanup.h"

#define ACME_URL_MAX_BYTES 2000
#define ACME_IDENTIFIERS_MAX 100

enum acme_status {
	ACME_PENDING,
	ACME_READY,
	ACME_PROCESSING,
	ACME_VALID,
	ACME_INVALID,
	ACME_DEACTIVATED,
	ACME_EXPIRED,
	ACME_REVOKED,
};

struct acme_directory {
	char *new_nonce, *new_account, *new_order, *revoke_cert, *key_change;
	char *renewal_info; /* NULL: none */
	char *terms;        /* URL of the terms of service; NULL: none */
	gboolean eab_required;
	GStrv profiles; /* names; NULL: the server has none */
};

struct acme_problem {
	char *type;     /* without "urn:ietf:params:acme:error:" where it has that */
	char *detail;   /* with the details of what is below it, or "" */
	GStrv subtypes; /* of what is below it */
};

struct acme_identifier {
	char *type, *value; /* "dns", "email" */
};

struct acme_order {
	enum acme_status status;
	GPtrArray *identifiers; /* struct acme_identifier */
	GStrv authorizations;
	char *finalize, *certificate; /* certificate NULL: none yet */
	gint64 expires;               /* CLOCK_NEVER: not said */
	struct acme_problem *problem; /* NULL: none */
};

struct acme_challenge {
	enum acme_status status;
	char *type, *url;
	char *token; /* NULL: none */
	char *from;  /* email-reply-00; NULL: none */
	struct acme_problem *problem;
};

struct acme_authorization {
	enum acme_status status;
	struct acme_identifier identifier;
	gint64 expires;
	gboolean wildcard;
	GPtrArray *challenges; /* struct acme_challenge; of types that cannot be read none */
};

struct acme_directory *acme_directory_read(const json_t *json,
					   GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct acme_order *acme_order_read(const json_t *json, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct acme_authorization *acme_authorization_read(const json_t *json,
						   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* NULL: it is no problem document. */
struct acme_problem *acme_problem_read(const json_t *json);
/* The orders of an account; INVALID. */
GStrv acme_orders_read(const json_t *json, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* RFC 9773 section 4.2. */
gboolean acme_window_read(const json_t *json, gint64 *start, gint64 *end,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* One of a kind, or NULL; borrowed. */
const struct acme_challenge *acme_challenge_of(const struct acme_authorization *authorization,
					       const char *type);
gboolean acme_url_is_good(const char *url);
/* The targets of a Link header field (RFC 8288) of this relation; several may stand in one. */
GStrv acme_links(const char *field, const char *relation);

void acme_directory_free(struct acme_directory *directory);
void acme_problem_free(struct acme_problem *problem);
void acme_order_free(struct acme_order *order);
void acme_authorization_free(struct acme_authorization *authorization);
DEFINE_CLEANUP(acme_directory, acme_directory_free)
DEFINE_CLEANUP(acme_problem, acme_problem_free)
DEFINE_CLEANUP(acme_order, acme_order_free)
DEFINE_CLEANUP(acme_authorization, acme_authorization_free)

#endif
