/*
 * ca - the built-in certification authority (C1 to C3, C13, C15, C17).
 *
 * Creates root and intermediate in one step, issues end-user certificates to the profile table
 * (pki/ca_profile); revoking and lists are in pki/ca_crl. Each act is one transaction of the
 * caller's. What a person must be asked about is an error DENIED unless the options say that he
 * was. Threads: any. Sources: CA/Browser Forum S/MIME BR 7.1, RFC 5280, RFC 9598.
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

/* What every act needs. public_url: the setting; NULL or "": nothing is published. */
struct ca_context {
	struct db *db;
	struct keyring *keyring;
	struct clock *clock;
	const char *public_url;
};

struct ca_part { /* one of root and intermediate; NULL and 0 take the default */
	const char *common_name;
	const char *email;  /* normally NULL */
	const char *key;    /* "rsa:2048" "rsa:3072" "rsa:4096" "ec:P-256" "ec:P-384" */
	const char *digest; /* "sha256" "sha384" "sha512" */
	gint64 days;
};

struct ca_create {
	struct ca_part root, intermediate;
	const char *organisation, *country; /* NULL: the CA defaults */
	const char *use;                    /* what it will issue: "mail" (NULL) or "tls" (C15) */
	const char *under; /* a root of ours, by its or its CA's name; NULL: a new one */
	gboolean make_default;
	gboolean trust_root; /* the root enters the root store; yes unless refused */
};

struct ca_created {
	gint64 id;
	struct cert *root, *intermediate;
};

/* With an empty CRL, at once. INVALID names the option that does not fit. What leaves the
 * Baseline Requirements is added to warnings (char *; may be NULL). */
gboolean ca_create(const struct ca_context *context, const struct ca_create *options,
		   struct ca_created *created, GPtrArray *warnings, struct tx *tx,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;

/*
 * The intermediate alone, for a root elsewhere: the key is made, the request (DER) is returned and
 * kept; it asks for what a CA has. options->root is not looked at. The CA issues nothing until ca_take_cert.
 */
GBytes *ca_create_external(const struct ca_context *context, const struct ca_create *options,
			   gint64 *id, struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The request again; NOT_FOUND for a CA whose root is ours. */
GBytes *ca_external_csr(struct db *db, const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The certificate that the external root gave: it finds its CA by its key, NOT_FOUND when none
   waits for it. With an empty CRL, at once; *name (owned) is the CA's. */
gboolean ca_take_cert(const struct ca_context *context, struct cert *cert, char **name,
		      struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct ca_subject {
	const char *email; /* required for S/MIME profiles */
	const char *common_name;
	const char *organisation, *first_name, *last_name; /* or NULL */
	const char *const *dns_names;                      /* TLS profiles; or NULL */
};

struct ca_issue {
	const char *ca;      /* name; NULL: the default one that can issue this profile */
	const char *digest;  /* NULL: the CA key's own */
	gint64 days;         /* 0: default */
	gboolean crl_url;    /* a CRL distribution point, if the CA has a URL for it */
	const char *profile; /* as pki/ca_profile.h says; NULL: "smime" */
	const char *key_use; /* "dual" (NULL), "sign", "encrypt" */
	GPtrArray *warnings; /* char *: added to, what leaves the rules; NULL: nobody asks */
};

/* From a CSR that proves the key. The certificate is in the store when it returns. Quick: one
 * query, one signature, two inserts; nothing is done about the CRL. */
struct cert *ca_issue(const struct ca_context *context, GBytes *csr,
		      const struct ca_subject *subject, const struct ca_issue *options,
		      gint64 request_id, struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Would ca_issue refuse this, with a key of this kind ("rsa:3072")? Nothing is made. */
gboolean ca_vet(const struct ca_context *context, const char *key, const struct ca_subject *subject,
		const struct ca_issue *options, struct tx *tx,
		GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Where settings and certificates of this CA leave the rules: char *, each names its rule. */
GPtrArray *ca_warnings(const struct ca_context *context, const struct ca_row *ca,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of the settings alone. */
void ca_settings_warnings(const struct ca_context *context, const struct ca_defaults *defaults,
			  GPtrArray *warnings);
/* root and intermediate (root last), for export and PKCS#12 mail; struct cert *. */
GPtrArray *ca_chain(struct db *db, const struct ca_row *ca,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Lower-case hex without leading zeros; INVALID. */
char *ca_serial_normalise(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
