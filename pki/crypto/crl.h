/*
 * crl - one certificate revocation list as compact sorted entries; immutable and shared.
 *
 * Parsed by one pass over the DER with limits first (RFC 5280 section 5); 27 bytes an entry, and
 * the DER unless the list is restored from the store. The signature is checked by
 * crl_is_signed_by, which callers do once and remember.
 * Threads: any.
 */
#ifndef PKI_CRYPTO_CRL_H
#define PKI_CRYPTO_CRL_H

#include <glib.h>

#include "pki/crypto/algorithms.h"
#include "store/base/cleanup.h"

struct cert;
struct crl;

#define CRL_SIZE_MAX_BYTES (256 * 1024 * 1024)
#define CRL_ENTRIES_MAX 5000000

/* RFC 5280 section 5.3.1 */
enum crl_reason {
	REVOCATION_UNSPECIFIED = 0,
	REVOCATION_KEY_COMPROMISE = 1,
	REVOCATION_CA_COMPROMISE = 2,
	REVOCATION_AFFILIATION_CHANGED = 3,
	REVOCATION_SUPERSEDED = 4,
	REVOCATION_CESSATION_OF_OPERATION = 5,
	REVOCATION_CERTIFICATE_HOLD = 6,
	REVOCATION_REMOVE_FROM_CRL = 8,
	REVOCATION_PRIVILEGE_WITHDRAWN = 9,
	REVOCATION_AA_COMPROMISE = 10,
};
const char *crl_reason_name(enum crl_reason reason); /* "keyCompromise" */
gboolean crl_reason_by_name(const char *name, enum crl_reason *reason);

/* RFC 5280 section 5.2.5: what the list speaks of. */
enum crl_scope {
	CRL_SCOPE_ONLY_USER = 1,
	CRL_SCOPE_ONLY_CA = 2,
	CRL_SCOPE_ONLY_ATTRIBUTE = 4,
	CRL_SCOPE_INDIRECT = 8,
	CRL_SCOPE_SOME_REASONS = 16,
	CRL_SCOPE_POINT = 32, /* names a distribution point */
	CRL_SCOPE_DELTA = 64,
};

struct crl_item {
	char *serial_hex;       /* as cert_serial_hex; for crl_foreach borrowed during the call */
	const char *issuer_key; /* as cert_issuer_key; differs from the list's when indirect */
	gint64 revoked_at;
	enum crl_reason reason;
};

struct crl *crl_parse(GBytes *der, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A list of the store: its signature was checked when it came, with the key signer_key
 * (cert_spki_sha256), and the DER is not kept. signer_key NULL: not checked yet; then it is kept.
 */
struct crl *crl_restore(GBytes *der, const char *thumbprint, const char *signer_key,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct crl *crl_ref(struct crl *crl);
void crl_unref(struct crl *crl); /* NULL is fine */

GBytes *crl_der(const struct crl *crl);            /* borrowed; NULL when restored */
const char *crl_thumbprint(const struct crl *crl); /* SHA-512 of the DER */
const char *crl_issuer(const struct crl *crl);
const char *crl_issuer_key(const struct crl *crl);  /* as cert_subject_key of who signed it */
const char *crl_aki(const struct crl *crl);         /* hex, or NULL */
const char *crl_number(const struct crl *crl);      /* hex as a serial, or NULL */
const char *crl_base_number(const struct crl *crl); /* of a delta; hex, or NULL */
gint64 crl_this_update(const struct crl *crl);
gint64 crl_next_update(const struct crl *crl); /* CLOCK_NEVER when absent */
unsigned int crl_scope(const struct crl *crl); /* mask of enum crl_scope */
/* Hex SHA-256 of the issuingDistributionPoint, "" when there is none: lists of one issuer with
 * the same digest replace each other. */
const char *crl_scope_digest(const struct crl *crl);
/* The names of its distribution point (URIs, "DN:" texts), borrowed; empty without one. */
const char *const *crl_points(const struct crl *crl);
gboolean crl_has_unknown_critical(const struct crl *crl); /* then it must not be used */
gsize crl_entry_count(const struct crl *crl);
gsize crl_memory(const struct crl *crl); /* bytes that it takes */
/* What it speaks of, in words; "" when that is everything its issuer issued. Owned. */
char *crl_scope_text(const struct crl *crl);
/* Is this number (hex, as crl_number) less than (-1), equal to (0) or greater than (1) that? */
int crl_number_compare(const char *a, const char *b);
/* Revocations that lists before this one named: they count as if they stood on it. Before the
 * list is shared, and once. issuer_key NULL: the list's own. */
void crl_add_past(struct crl *crl, const struct crl_item *items, gsize count);
/* FALSE when it is not listed. issuer_key NULL means the list's own issuer. serial_hex of
 * *entry is left NULL. Under 1 us. */
gboolean crl_find(const struct crl *crl, const char *issuer_key, const char *serial_hex,
		  struct crl_item *entry);
/* By serial where that is possible, else in the order of the list; serial: the octets of the
 * INTEGER; issuer_key NULL: the list's own. Stops when visit says FALSE. For lists with DER. */
void crl_foreach_octets(const struct crl *crl,
			gboolean (*visit)(const guint8 *serial, gsize length,
					  const struct crl_item *, gpointer),
			gpointer data);
/* In the order of the list; stops when visit says FALSE. For lists with DER. */
void crl_foreach(const struct crl *crl, gboolean (*visit)(const struct crl_item *, gpointer),
		 gpointer data);
/* Key usage cRLSign, name and signature; the issuer's own path is the caller's question. */
gboolean crl_is_signed_by(const struct crl *crl, const struct cert *issuer);
/* T5: what is shown, as struct fact of cert.h; entries apart. */
GPtrArray *crl_facts(const struct crl *crl);

DEFINE_CLEANUP(crl, crl_unref)

#endif
