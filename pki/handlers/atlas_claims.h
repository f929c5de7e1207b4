/*
 * atlas_claims - domains that an Atlas account claims: made, read, validated, deleted (C12).
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * The claims live at GlobalSign; nothing of them is kept here but where a record stands, if it does
 * not stand at the domain itself (claims.<domain>.authorization_domain).
 * Errors: NOT_FOUND no such claim; INVALID and DENIED the peer's no; TEMPORARY not now.
 */
#ifndef PKI_HANDLERS_ATLAS_CLAIMS_H
#define PKI_HANDLERS_ATLAS_CLAIMS_H

#include <glib.h>

#include "pki/handlers/handler.h"
#include "store/base/cleanup.h"

struct atlas_claim_line {
	char *status, *text; /* "SUCCESS", "ERROR", "INFO" */
	gint64 at;
};

struct atlas_claim {
	char *id, *domain, *status; /* "PENDING", "VERIFIED" */
	char *token;                /* NULL: not told */
	gint64 created, expires;    /* 0: none */
	gint64 assert_by;           /* until when the token counts */
	GPtrArray *log;             /* struct atlas_claim_line * */
};

/* One that waits for this domain already is shown again. */
struct atlas_claim *atlas_claim_add(const struct handler_context *context, const char *domain,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* status NULL: all; struct atlas_claim *. */
GPtrArray *atlas_claims(const struct handler_context *context, const char *status,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* By id, or the newest of a domain. */
struct atlas_claim *atlas_claim_find(const struct handler_context *context, const char *which,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Asks the peer to look for the record now. */
gboolean atlas_claim_validate(const struct handler_context *context,
			      const struct atlas_claim *claim, const char *authorization_domain,
			      gboolean *verified, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean atlas_claim_delete(const struct handler_context *context, const char *id,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Where the record of a domain stands: as configured, else the domain; borrowed. */
const char *atlas_claim_place(const struct handler_context *context,
			      const struct atlas_claim *claim);
/* "globalsign-domain-verification=TOKEN"; NULL: the token is not known. */
char *atlas_claim_value(const struct atlas_claim *claim);
/* Is the record in the DNS, as our name server sees it? */
gboolean atlas_claim_published(const struct handler_context *context,
			       const struct atlas_claim *claim, const char *place, gboolean *found,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void atlas_claim_free(struct atlas_claim *claim);

DEFINE_CLEANUP(atlas_claim, atlas_claim_free)

#endif
