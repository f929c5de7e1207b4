/*
 * cas - the gateway's own certification authorities and their defaults (C1, C2).
 *
 * A CA is the issuing (intermediate) certificate; its root is named beside it. Keys are in
 * store/keys. Threads: any.
 */
#ifndef STORE_CAS_H
#define STORE_CAS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct ca_row {
	gint64 id;
	char *name;       /* common name, unique */
	char *thumbprint; /* issuing certificate; NULL while an external root has not answered */
	char *root_thumbprint; /* NULL: an external root */
	char *issuer_key; /* subject_key of the issuing certificate: issuer of what it issues */
	char *spki_sha256, *root_spki_sha256;
	GBytes *csr; /* for the external root; NULL: the root is ours */
	gboolean is_default;
	gint64 created;
	gint64 crl_next;      /* when the next CRL is due; 0: now */
	gint64 crl_partition; /* part of its CRL that new certificates belong to */
	gboolean revoked;     /* by our root: it issues nothing any more */
};

/* Defaults for what is issued (one row for the gateway); every member is always set. */
struct ca_defaults {
	char *common_name; /* template of subjects; "" none */
	gint64 validity_days;
	char *key;       /* "rsa:3072", "ec:P-256" */
	char *digest;    /* "sha256" ... */
	char *mail_from; /* sender of PKCS#12 mail; "" unset */
	gint64 password_bytes;
	gboolean store_password;
	gboolean add_crl_url;
	char *crl_url;  /* "" unset; %s stands for the CA's key identifier */
	char *aia_url;  /* caIssuers; "" unset */
	char *handler;  /* default request handler */
	char *ocsp_url; /* "" unset */
	char *policy;   /* OIDs of a site's own, beside the profile's */
	char *cps_url;  /* "" unset */
	char *organisation, *organisation_id, *country; /* "" unset; of CAs and certificates */
	char *generation;                               /* "multipurpose", "strict" */
	char *key_pair;                                 /* "dual", "pair", "sign", "encrypt" */
	gint64 renew_days;            /* before the end; 0: nothing is renewed by itself */
	gint64 backdate_seconds;      /* C13 */
	gint64 crl_days;              /* nextUpdate of CRLs made without a word about it */
	gint64 crl_partition_entries; /* so many entries, then a CRL gets its next part */
	gint64 request_max_age;       /* days until an unfinished request is given up */
};

/* Inserts or changes by name; *id is set. One that is made default takes it from the others. */
gboolean cas_insert(struct tx *tx, const struct ca_row *row, gint64 *id,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean cas_set_default(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Its CRL gets its next part: what is issued from now on belongs to that. */
gboolean cas_next_partition(struct tx *tx, gint64 id, GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean cas_set_crl_next(struct tx *tx, gint64 id, gint64 at,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* By name, by thumbprint of the issuing certificate, or NULL for the default one. NOT_FOUND. */
struct ca_row *cas_find(struct db *db, const char *name_or_thumbprint,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct ca_row *cas_find_in_tx(struct tx *tx, const char *name_or_thumbprint,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *cas_list(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The next CRL number of a CA: greater than the last one, and not less than least. */
gboolean cas_next_crl_number(struct tx *tx, gint64 id, gint64 least, gint64 *number,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Roots of our own, each above one CA or several. */
struct ca_root_row {
	char *thumbprint, *spki_sha256;
	char *name; /* common name; NULL: of a version before */
	gint64 crl_next;
};
gboolean ca_roots_insert(struct tx *tx, const struct ca_root_row *row,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* By thumbprint or name, or the thumbprint or name of a CA below it. NOT_FOUND. */
struct ca_root_row *ca_roots_find(struct tx *tx, const char *name,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean ca_roots_set_crl_next(struct tx *tx, const char *thumbprint, gint64 at,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* As cas_next_crl_number. */
gboolean ca_roots_next_crl_number(struct tx *tx, const char *thumbprint, gint64 least,
				  gint64 *number, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *ca_roots_list(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct ca_defaults *ca_defaults_load(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* From "name=value" texts; NULL: nothing was set. */
struct ca_defaults *ca_defaults_from(const char *const *pairs);
/* One of them, by name ("validity_days"), from text; INVALID says what it takes. */
gboolean ca_defaults_set(struct tx *tx, const char *name, const char *value,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Name, value, sentence of each: three strings a row, for config show. */
GPtrArray *ca_defaults_describe(const struct ca_defaults *defaults);

void ca_row_free(struct ca_row *row);
void ca_defaults_free(struct ca_defaults *defaults);
void ca_root_row_free(struct ca_root_row *row);
DEFINE_CLEANUP(ca_row, ca_row_free)
DEFINE_CLEANUP(ca_root_row, ca_root_row_free)
DEFINE_CLEANUP(ca_defaults, ca_defaults_free)

#endif
