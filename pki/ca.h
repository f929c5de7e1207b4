/*
 * ca - the built-in certification authority (C1 to C3, C7, C13).
 *
 * Creates root and intermediate in one step, issues end-user certificates to the profile table,
 * revokes, makes CRLs. Each act is one transaction of the caller's. What a person must be asked
 * about is an error DENIED unless the options say that he was. Threads: any.
 * Sources: CA/Browser Forum S/MIME BR 7.1, RFC 5280, RFC 9598.
 */
#ifndef PKI_CA_H
#define PKI_CA_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/cas.h"

struct cert;
struct clock;
struct db;
struct key;
struct keyring;
struct tx;

struct ca_part { /* one of root and intermediate; NULL and 0 take the default */
	const char *common_name;
	const char *email;  /* normally NULL */
	const char *key;    /* "rsa:2048" "rsa:3072" "rsa:4096" "ec:P-256" "ec:P-384" */
	const char *digest; /* "sha256" "sha384" "sha512" */
	gint64 days;
};

struct ca_create {
	struct ca_part root, intermediate;
	const char *organisation, *country; /* or NULL */
	gboolean make_default;
	gboolean trust_root; /* the root enters the root store; yes unless refused */
};

struct ca_created {
	gint64 id;
	struct cert *root, *intermediate;
};

/* With an empty CRL, at once. INVALID names the option that does not fit. */
gboolean ca_create(struct keyring *keyring, struct db *db, struct clock *clock,
		   const struct ca_create *options, struct ca_created *created, struct tx *tx,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The intermediate alone, for a root elsewhere: the key is made, the request (DER) is returned and
 * kept. options->root is not looked at. The CA issues nothing until ca_take_cert.
 */
GBytes *ca_create_external(struct keyring *keyring, struct db *db, struct clock *clock,
			   const struct ca_create *options, gint64 *id, struct tx *tx,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The request again; NOT_FOUND for a CA whose root is ours. */
GBytes *ca_external_csr(struct db *db, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The certificate that the external root gave: it finds its CA by its key, NOT_FOUND when none
   waits for it. With an empty CRL, at once; *name (owned) is the CA's. */
gboolean ca_take_cert(struct keyring *keyring, struct db *db, struct clock *clock,
		      struct cert *cert, char **name, struct tx *tx,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct ca_subject {
	const char *email; /* required */
	const char *common_name;
	const char *organisation, *first_name, *last_name; /* or NULL */
};

struct ca_issue {
	const char *ca;      /* name; NULL: the default one */
	const char *digest;  /* NULL: the CA key's own */
	gint64 days;         /* 0: default */
	gboolean crl_url;    /* a CRL distribution point, if the defaults have a URL */
	const char *profile; /* "smime" (NULL), "tls-server", "tls-client", "ocsp" */
};

/* From a CSR that proves the key. The certificate is in the store when it returns. */
struct cert *ca_issue(struct keyring *keyring, struct db *db, struct clock *clock, GBytes *csr,
		      const struct ca_subject *subject, const struct ca_issue *options,
		      gint64 request_id, struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* serial in any usual spelling (hex, colons, blanks, 0x). reason: RFC 5280 5.3.1 by name
   ("keyCompromise") or NULL. DENIED for one never issued unless even_if_unknown. */
gboolean ca_revoke(struct db *db, struct clock *clock, const char *ca, const char *serial,
		   const char *reason, gboolean even_if_unknown, struct tx *tx,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct ca_crl {
	const char *digest; /* NULL: as the CA's */
	gint64 days;        /* next update from now; 0: the default */
	gboolean anew;      /* drops what is revoked so far; DENIED names them unless confirmed */
	gboolean confirmed;
};
/* What is wrong with the list at the CA's distribution point, as of the last look: a sentence, or
 * NULL (nothing, or nobody looked yet). *looked: when that was; 0: never. */
gboolean ca_point_fault(struct db *db, const struct ca_row *ca, gint64 now, char **fault,
			gint64 *looked, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Makes, stores and returns the DER. The root's list is made anew beside it. */
GBytes *ca_make_crl(struct keyring *keyring, struct db *db, struct clock *clock, const char *ca,
		    const struct ca_crl *options, struct tx *tx,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* root and intermediate (root last), for export and PKCS#12 mail; struct cert *. */
GPtrArray *ca_chain(struct db *db, const struct ca_row *ca,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Lower-case hex without leading zeros; INVALID. */
char *ca_serial_normalise(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
