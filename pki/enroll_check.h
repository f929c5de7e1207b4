/*
 * enroll_check - is this certificate what was asked for? The same for every handler.
 */
#ifndef PKI_ENROLL_CHECK_H
#define PKI_ENROLL_CHECK_H

#include <glib.h>

struct cert;
struct db;
struct request_row;

/* Key, address or names, purposes, usage, dates. INVALID says what does not fit; cert NULL: that
 * there is none. */
gboolean enroll_check(const struct cert *cert, const struct request_row *request, gint64 now,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The key alone: what nobody can waive. */
gboolean enroll_check_key(const struct cert *cert, const struct request_row *request,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Does it lead to a root of the store, or to an anchor (struct cert, or NULL)? along: struct cert
 * that came with it. INVALID says what is missing. */
gboolean enroll_check_chain(struct db *db, struct cert *cert, GPtrArray *along, GPtrArray *anchors,
			    gint64 now, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* For TLS rather than for mail? */
gboolean enroll_is_tls(const struct request_row *request);

#endif
