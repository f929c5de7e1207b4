/*
 * crl_entries - what revocation lists say: rows of those in force, and what lists before said.
 *
 * A past revocation stays when the list that named it makes way for one that does not (T6), hold
 * apart. Who writes holds crls_lock of the issuer. Threads: any.
 */
#ifndef STORE_CRL_ENTRIES_H
#define STORE_CRL_ENTRIES_H

#include "store/crls.h"
#include "store/db/copy.h"

struct revoked_row {
	char *serial;     /* hex as the certificate gives it */
	char *issuer_key; /* NULL: the CRL's issuer (else an indirect CRL's entry) */
	gint64 revoked_at;
	gint reason;   /* RFC 5280 5.3.1; 0: unspecified */
	gboolean past; /* a list before said it, the one in force does not any more */
};

/* Entries: begin, one call each (serial: the octets of the INTEGER; issuer_key NULL: the list's),
 * then copy_end. Best in the order of serials. */
struct copy *crls_entries_begin(struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void crls_entries_add(struct copy *copy, gint64 crl_id, const guint8 *serial, gsize length,
		      const char *issuer_key, gint64 revoked_at, gint reason);
gboolean crls_entries_drop(struct tx *tx, gint64 crl_id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A list leaves the line for a newer one: what it revoked (hold apart) and beside does not name
 * becomes past revocations. beside: the list or lists now in force, at most two. */
gboolean crls_retire(struct tx *tx, const struct crl_row *old, const gint64 *beside, gsize n,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Takes past revocations back: of our own CA's name and key, when an administrator starts anew. */
gboolean crls_forget_past(struct tx *tx, const char *issuer_key, const char *signer_key,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* One page of what a list in force says; struct revoked_row *, by serial. after: hex, or NULL. */
GPtrArray *crls_entries(struct db *db, gint64 crl_id, const char *after, gint64 limit,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The entries of one serial (several of an indirect list), past ones too. */
GPtrArray *crls_entries_of(struct db *db, const struct crl_row *row, const char *serial,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All past revocations of a line. */
GPtrArray *crls_past(struct db *db, gint64 line, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is it on any list in force of this issuer, or was it? *found FALSE when not; *entry's strings
 * are not set. */
gboolean crls_revoked(struct db *db, const char *issuer_key, const char *serial, gboolean *found,
		      struct revoked_row *entry, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void revoked_row_free(struct revoked_row *entry);

#endif
