/*
 * crl_internal - what parsing, look-up and display of a revocation list share.
 */
#ifndef PKI_CRYPTO_CRL_INTERNAL_H
#define PKI_CRYPTO_CRL_INTERNAL_H

#include "pki/crypto/crl.h"
#include "pki/crypto/der.h"
#include "pki/crypto/internal.h"

#define CRL_SERIAL_BYTES 20 /* RFC 5280 section 4.1.2.2 */

/* A serial of up to 20 octets as a signed number; a longer one as its SHA-1. */
struct crl_packed {
	guint8 serial[CRL_SERIAL_BYTES];
	guint16 issuer; /* index into issuers */
	guint8 reason;
	guint32 revoked_at; /* seconds, good until 2106 */
} __attribute__((packed));

struct crl {
	gint references;
	GBytes *der;    /* NULL: of the store, not kept; the views into it are then void */
	struct der tbs; /* with its header, as it is signed */
	struct der algorithm;
	struct der signature;
	struct der revoked;
	char *thumbprint; /* NULL: not made yet, under the lock */
	char *signer_key; /* cert_spki_sha256 of who is known to have signed it, or NULL */
	char *issuer, *issuer_key, *aki, *number, *base_number;
	gint64 this_update, next_update;
	unsigned int scope;
	unsigned int reasons; /* mask of bits 1 to 8 of ReasonFlags that it speaks of */
	char *scope_digest;
	GPtrArray *points;
	gboolean unknown_critical;
	enum algorithm signature_algorithm;
	GPtrArray *issuers;       /* keys of names; the first is the list's own */
	GHashTable *issuer_index; /* key -> its place in issuers */
	struct crl_packed *entries;
	gsize count;
	guint32
	    *starts; /* of a long list: where serials begin by their first two octets that differ */
	gsize common;            /* octets before these, which are the same in all */
	gboolean long_serials;   /* some do not fit into a packed one as they stand */
	struct crl_packed *past; /* of lists before this one; sorted */
	gsize past_count;
	GMutex lock;
	GHashTable *signers; /* thumbprint of who was asked about -> whether it signed */
};

/* One entry as it stands in the DER. */
struct crl_raw {
	struct der_element serial;
	gint64 revoked_at;
	enum crl_reason reason;
	guint issuer;
};

/* Fills crl from its DER. */
gboolean crl_read(struct crl *crl, GError **error);
/* FALSE at the end and when broken; the caller looks whether the list is used up. */
gboolean crl_next_raw(struct crl *crl, struct der *list, struct crl_raw *raw);
void crl_pack_serial(const guint8 *bytes, gsize length, guint8 packed[CRL_SERIAL_BYTES]);
int crl_compare_packed(const void *a, const void *b);
void crl_sort_packed(struct crl_packed *entries, gsize count);
#define CRL_STARTS 65536 /* buckets of crl->starts */
/* The bucket that a serial falls into, by the two octets behind the common ones. */
static inline guint
crl_bucket(const struct crl_packed *entry, gsize common)
{
	return (guint)entry->serial[common] << 8 | entry->serial[common + 1];
}
/* The place of a name's key among the issuers; it is added. FALSE: there are too many. */
gboolean crl_issuer_place(struct crl *crl, const char *key, guint *place);

#endif
