/*
 * crls - certificate revocation lists: those in force, and those kept without effect.
 *
 * pki/crl_load decides about a list, this module writes what was decided: within one transaction,
 * under crls_lock of the issuer. A *line* is what lists follow each other in: issuer's name, key
 * that signs, scope. A line has at most one complete list and one delta in force. Entries are
 * rows of lists in force; nodes read the DER. Threads: any.
 */
#ifndef STORE_CRLS_H
#define STORE_CRLS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

enum crl_state {
	CRL_STATE_USABLE,        /* in force, as far as its dates go */
	CRL_STATE_UNCHECKED,     /* of a version before: in force where its signature fits */
	CRL_STATE_UNSUPPORTED,   /* a critical extension is not known */
	CRL_STATE_NO_ISSUER,     /* nobody in the stores can have signed it */
	CRL_STATE_BAD_SIGNATURE, /* who should have signed it did not */
	CRL_STATE_UNTRUSTED,     /* its signer has no path to a root */
	CRL_STATE_BACKWARDS,     /* of date and number one goes forward and one goes back */
	CRL_STATE_EXPIRED,       /* newer than the one in force, but out of date when that is not */
	CRL_STATE_EARLY,         /* dated too far in the future */
};
#define CRL_STATES 9

struct crl_row {
	gint64 id;                       /* set by the store */
	char *thumbprint;                /* SHA-512 hex of the DER */
	GBytes *der;                     /* NULL in lists */
	char *issuer, *issuer_key;       /* issuer_key: SHA-256 hex of the canonical name */
	char *aki;                       /* hex, or NULL */
	char *number;                    /* hex as the certificate gives it, or NULL */
	char *base_number;               /* of a delta CRL, else NULL */
	gint64 this_update, next_update; /* next_update CLOCK_NEVER: none */
	char *scope;      /* hex digest of the issuingDistributionPoint, "" when there is none */
	char *scope_text; /* what it speaks of, in words; "": everything */
	char *source;     /* URL, file name or "ca" */
	gint64 entries;   /* count */
	gint64 created;   /* set by the store */
	enum crl_state state;
	char *note;       /* what the state came from, as a sentence; "" */
	char *signer;     /* thumbprint of who verified it, or NULL */
	char *signer_key; /* cert_spki_sha256 of it, or NULL */
	gint64 line;      /* 0: none, its signature is not verified */
	gint64 size;      /* of the DER */
	gint64 past;      /* past revocations of its line; set by the store */
};

const char *crl_state_name(enum crl_state state);     /* as the column has it */
gboolean crl_row_in_force(const struct crl_row *row); /* usable or unchecked */

/* --- writing --- */
gboolean crls_lock(struct tx *tx, const char *issuer_key, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *row NULL: not there. Without DER. */
gboolean crls_present(struct tx *tx, const char *thumbprint, struct crl_row **row,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The line of issuer_key, signer_key and scope of the row, made where it is new: row->line. */
gboolean crls_line(struct tx *tx, struct crl_row *row, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* What is in force in a line, complete or delta; *row NULL: nothing. Without DER. */
gboolean crls_current(struct tx *tx, gint64 line, gboolean delta, struct crl_row **row,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Everything but entries; sets row->id. */
gboolean crls_insert(struct tx *tx, struct crl_row *row, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Writes state, note, signer, signer_key, line, entries and scope_text of the row with this id. */
gboolean crls_update(struct tx *tx, const struct crl_row *row,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of what is kept without effect only so much stays: the newest ones. */
gboolean crls_prune(struct tx *tx, const struct crl_row *newest,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With its entries; of a complete list the past revocations of its line go too. */
gboolean crls_delete(struct tx *tx, const char *thumbprint,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* --- reading --- */
/* With DER. A prefix of at least 8 digits is enough if it fits only one. */
struct crl_row *crls_find(struct db *db, const char *thumbprint,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The DER of a list, read in pieces; NULL and NOT_FOUND when it is gone. */
GBytes *crls_der(struct db *db, const struct crl_row *row,
		 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Without DER: the lists that nodes hold, of these issuers (issuer_key); NULL, 0: of all. One
 * query. */
GPtrArray *crls_held(struct db *db, const char *const *issuer_keys, gsize n,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Without DER: all that are kept without effect, or unchecked; issuer_key NULL: of all. */
GPtrArray *crls_not_in_force(struct db *db, const char *issuer_key,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *crls_list(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The newest complete CRL in force of an issuer and key (aki may be NULL); NOT_FOUND. */
struct crl_row *crls_newest(struct db *db, const char *issuer_key, const char *aki,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
void crl_row_free(struct crl_row *row);
DEFINE_CLEANUP(crl_row, crl_row_free)

#endif
