/*
 * certs - the certificate store: end users and intermediates, with all their addresses.
 *
 * The thumbprint (SHA-512 of the DER, lower-case hex) identifies a certificate. Rows are what
 * pki/ made of the DER; this layer believes them. Read functions return fresh copies that the
 * caller frees; "none found" is an empty array, or NOT_FOUND where one is asked for by name.
 * Threads: any.
 */
#ifndef STORE_CERTS_H
#define STORE_CERTS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct cert_row {
	gint64 id;              /* cursor of lists; set by the store */
	char *thumbprint;       /* SHA-512 hex */
	GBytes *der;            /* NULL in lists */
	char *subject, *issuer; /* as shown to people */
	char *subject_key,
	    *issuer_key; /* SHA-256 hex of the canonical name: compared, never shown */
	char *serial;    /* hex as the certificate gives it, without leading zeros */
	gint64 not_before, not_after;
	char *spki_sha256;
	char *ski, *aki; /* hex, or NULL */
	gboolean is_ca, self_signed;
	char *key_kind; /* "rsa", "ec" ... */
	gint key_bits;
	GStrv emails;        /* keys (mailaddr_key) of all its addresses; never NULL when read */
	char *origin;        /* "import", "harvest", "handler" */
	char *origin_detail; /* file name, sender, handler; may be NULL */
	gint64 request_id;   /* 0: none */
	char *own_ca;        /* thumbprint of the CA of ours that issued it, or NULL */
	gboolean pending;    /* waits for an administrator (rule S1, a new key) */
	gint64 issued;       /* real time of issue for our own (C13); 0: not known */
	gint64 created;      /* when it came into the store; set by the store */
	/* Read only. */
	gboolean has_key;
	char *ctl; /* "allow", "allow-expired", "deny", or NULL: its own CTL entry */
};

enum cert_expired { CERT_EXPIRED_ALL, CERT_EXPIRED_ONLY_UNEXPIRED, CERT_EXPIRED_ONLY };
enum cert_with_key { CERT_KEY_ANY, CERT_KEY_ONLY };

/* Filter of lists (K8). field: "email", "subject", "issuer", "serial", "thumbprint", or NULL for
   free text over all of them; text NULL: everything. A whole address is found as it is, parts
   of addresses and names wherever they stand, digits (in any spelling) from their start.
   Paging: after is the last id seen; rows that come meanwhile stand at the end. */
struct cert_filter {
	const char *field, *text;
	enum cert_expired expired;
	enum cert_with_key with_key;
	gboolean only_pending;
	gint64 now;
	gint64 after;
	gint limit; /* 0: 100 */
};

/* FALSE in *is_new when it is already there (its row stays as it is). */
gboolean certs_insert(struct tx *tx, const struct cert_row *row, gboolean *is_new,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Many at once, by COPY; is_new[i] as above, and FALSE for one that stands in rows before. The
 * addresses of a row must be without repeats. INVALID also when somebody else inserts one of them
 * at the same moment: then the transaction is run again. */
gboolean certs_insert_many(struct tx *tx, struct cert_row *const *rows, gsize n, gboolean *is_new,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* After many of these: brings the indexes for searches up to date, which else the next single row
 * would have to pay for. */
void certs_insert_settle(struct db *db);
/* Tells caches of a row that came, left or changed; looks at thumbprint, subject_key, is_ca and
 * emails. The functions here do it themselves: for who writes rows in another way. */
void certs_changed(struct tx *tx, const struct cert_row *row);
gboolean certs_delete(struct tx *tx, const char *thumbprint,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT; /* NOT_FOUND when absent */
gboolean certs_set_pending(struct tx *tx, const char *thumbprint, gboolean pending,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* NULL and NOT_FOUND when absent. A prefix of at least 8 digits is enough if it fits only one. */
struct cert_row *certs_find(struct db *db, const char *thumbprint,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Arrays of struct cert_row * that free their elements. Each is one query. */
GPtrArray *certs_by_thumbprints(struct db *db, const char *const *thumbprints, gsize n,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All certificates with one of these addresses, pending ones too; newest first, each once. */
GPtrArray *certs_by_emails(struct db *db, const char *const *email_keys, gsize n,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Candidates for issuers: CA certificates with one of these subjects (subject_key). */
GPtrArray *certs_issuers(struct db *db, const char *const *subject_keys, gsize n,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* By subject and key identifier; ski may be NULL. */
GPtrArray *certs_by_subject(struct db *db, const char *subject_key, const char *ski,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *certs_by_issuer_serial(struct db *db, const char *issuer_key, const char *serial,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *certs_by_ski(struct db *db, const char *ski, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *certs_by_spki(struct db *db, const char *spki_sha256,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *certs_list(struct db *db, const struct cert_filter *filter,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* -1 on failure. Of more than 100,000 the estimate that the server has from its last look. */
gint64 certs_count(struct db *db, GError **error);
/* How many certificates name this CA (subject_key) as their issuer, directly or through other CA
   certificates of the store. By names alone: whoever writes one counts. */
gboolean certs_count_below(struct db *db, const char *subject_key, gint64 *count,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Parts of names are found by an index only where PostgreSQL's pg_trgm may be used: makes what
   can be made (as the owner of the tables), and says whether it is there. */
gboolean certs_search_indexes(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean certs_search_is_indexed(struct db *db, gboolean *indexed,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;

void cert_row_free(struct cert_row *row);
DEFINE_CLEANUP(cert_row, cert_row_free)

#endif
