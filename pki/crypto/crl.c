/*
 * crl - life, look-up and signature of a revocation list; crl_read.c has the parser.
 *
 * OpenSSL's X509_CRL takes 375 bytes an entry and checks the signature again for every path;
 * hence the reader of our own. OpenSSL sees the small parts: names, extensions, the signature.
 */
#include "pki/crypto/crl.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "pki/crypto/crl_internal.h"
#include "store/base/clock.h"
#include "store/base/hex.h"

#define SIGNERS_MAX 64

/* The same from the text of cert_serial_hex. FALSE when it is none. */
static gboolean
pack_serial_hex(const char *hex, guint8 packed[CRL_SERIAL_BYTES])
{
	guint8 bytes[256];
	gboolean negative = *hex == '-';
	gsize digits = strlen(hex += negative);
	gsize length = (digits + 1) / 2;
	gsize odd = digits % 2;

	if (digits == 0 || length >= sizeof(bytes))
		return FALSE;
	bytes[0] = 0;
	for (gsize i = 0; i < length; i++) {
		int high = i == 0 && odd ? 0 : g_ascii_xdigit_value(hex[2 * i - odd]);
		int low = g_ascii_xdigit_value(hex[2 * i + 1 - odd]);

		if (high < 0 || low < 0)
			return FALSE;
		bytes[i + 1] = (guint8)(high << 4 | low);
	}
	if (negative) {
		unsigned int carry = 1;

		for (gsize i = length + 1; i-- > 0;) {
			unsigned int sum = (unsigned int)(guint8)~bytes[i] + carry;

			bytes[i] = (guint8)sum;
			carry = sum >> 8;
		}
	}
	/* Shortest form, as DER has it. */
	gsize skip = ((bytes[1] & 0x80) != 0) == negative ? 1 : 0;
	crl_pack_serial(bytes + skip, length + 1 - skip, packed);
	return TRUE;
}

static struct crl *
parse(GBytes *der, GError **error)
{
	gsize length = g_bytes_get_size(der);

	if (length > CRL_SIZE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a CRL of %zu bytes is too large", length);
	struct crl *crl = g_new0(struct crl, 1);
	crl->references = 1;
	crl->der = g_bytes_ref(der);
	g_mutex_init(&crl->lock);
	crl->signers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	crl->reasons = reason_mask(NULL);
	crl->points = g_ptr_array_new_with_free_func(g_free);
	crl->issuers = g_ptr_array_new_with_free_func(g_free);
	crl->issuer_index = g_hash_table_new(g_str_hash, g_str_equal);
	if (!crl_read(crl, error)) {
		crl_unref(crl);
		return NULL;
	}
	g_ptr_array_add(crl->points, NULL);
	if (crl->scope_digest == NULL)
		crl->scope_digest = g_strdup("");
	return crl;
}

struct crl *
crl_parse(GBytes *der, GError **error)
{
	return parse(der, error);
}

struct crl *
crl_restore(GBytes *der, const char *thumbprint, const char *signer_key, GError **error)
{
	struct crl *crl = parse(der, error);

	if (crl == NULL)
		return NULL;
	crl->thumbprint = g_strdup(thumbprint);
	crl->signer_key = g_strdup(signer_key);
	if (signer_key != NULL) {
		g_clear_pointer(&crl->der, g_bytes_unref);
		crl->tbs = crl->algorithm = crl->signature = crl->revoked =
		    (struct der){ NULL, NULL };
	}
	return crl;
}

struct crl *
crl_ref(struct crl *crl)
{
	g_atomic_int_inc(&crl->references);
	return crl;
}

void
crl_unref(struct crl *crl)
{
	if (crl == NULL || !g_atomic_int_dec_and_test(&crl->references))
		return;
	g_clear_pointer(&crl->der, g_bytes_unref);
	g_free(crl->thumbprint);
	g_free(crl->signer_key);
	g_free(crl->issuer);
	g_free(crl->issuer_key);
	g_free(crl->aki);
	g_free(crl->number);
	g_free(crl->base_number);
	g_free(crl->scope_digest);
	g_ptr_array_unref(crl->points);
	g_hash_table_unref(crl->issuer_index);
	g_ptr_array_unref(crl->issuers);
	g_free(crl->entries);
	g_free(crl->starts);
	g_free(crl->past);
	g_hash_table_unref(crl->signers);
	g_mutex_clear(&crl->lock);
	g_free(crl);
}

#define GETTER(type, name, member)                                                                 \
	type crl_##name(const struct crl *crl)                                                     \
	{                                                                                          \
		return crl->member;                                                                \
	}
GETTER(GBytes *, der, der)
GETTER(const char *, issuer, issuer)
GETTER(const char *, issuer_key, issuer_key)
GETTER(const char *, aki, aki)
GETTER(const char *, number, number)
GETTER(const char *, base_number, base_number)
GETTER(gint64, this_update, this_update)
GETTER(gint64, next_update, next_update)
GETTER(unsigned int, scope, scope)
GETTER(unsigned int, reasons, reasons)
GETTER(const char *, scope_digest, scope_digest)
GETTER(gboolean, has_unknown_critical, unknown_critical)
GETTER(gsize, entry_count, count)
#undef GETTER

/* Made when it is first asked for: of a long list it costs as much as reading it. */
const char *
crl_thumbprint(const struct crl *crl)
{
	struct crl *memory = (struct crl *)crl;

	g_mutex_lock(&memory->lock);
	if (crl->thumbprint == NULL)
		memory->thumbprint = digest_hex("SHA512", g_bytes_get_data(crl->der, NULL),
						g_bytes_get_size(crl->der));
	g_mutex_unlock(&memory->lock);
	return crl->thumbprint;
}

gsize
crl_memory(const struct crl *crl)
{
	return sizeof(*crl) + (crl->der != NULL ? g_bytes_get_size(crl->der) : 0) +
	       (crl->count + crl->past_count) * sizeof(*crl->entries) +
	       (crl->starts != NULL ? (CRL_STARTS + 1) * sizeof(*crl->starts) : 0) +
	       crl->issuers->len * 128;
}

const char *const *
crl_points(const struct crl *crl)
{
	return (const char *const *)crl->points->pdata;
}

int
crl_number_compare(const char *a, const char *b)
{
	gsize long_a = strlen(a), long_b = strlen(b);
	int order = long_a != long_b ? (long_a < long_b ? -1 : 1) : strcmp(a, b);

	return (order > 0) - (order < 0);
}

void
crl_add_past(struct crl *crl, const struct crl_item *items, gsize count)
{
	gsize n = 0;

	crl->past = g_new0(struct crl_packed, count);
	for (gsize i = 0; i < count; i++) {
		struct crl_packed *entry = &crl->past[n];
		guint issuer = 0;

		if (!pack_serial_hex(items[i].serial_hex, entry->serial) ||
		    (items[i].issuer_key != NULL &&
		     !crl_issuer_place(crl, items[i].issuer_key, &issuer)))
			continue;
		entry->issuer = (guint16)issuer;
		entry->reason = (guint8)items[i].reason;
		entry->revoked_at = (guint32)CLAMP(items[i].revoked_at, 0, G_MAXUINT32);
		n++;
	}
	crl->past_count = n;
	crl_sort_packed(crl->past, n);
}

static const struct crl_packed *
find_packed(const struct crl_packed *entries, gsize count, const struct crl_packed *wanted)
{
	return count == 0 ? NULL
			  : bsearch(wanted, entries, count, sizeof(*entries), crl_compare_packed);
}

static const struct crl_packed *
find_entry(const struct crl *crl, const struct crl_packed *wanted)
{
	const struct crl_packed *first = crl->entries;
	gsize count = crl->count;

	if (crl->starts != NULL) {
		guint bucket = crl_bucket(wanted, crl->common);

		if (memcmp(wanted->serial, first->serial, crl->common) != 0)
			return NULL;
		first += crl->starts[bucket];
		count = crl->starts[bucket + 1] - crl->starts[bucket];
	}
	return find_packed(first, count, wanted);
}

gboolean
crl_find(const struct crl *crl, const char *issuer_key, const char *serial, struct crl_item *entry)
{
	struct crl_packed wanted;
	gpointer issuer = NULL;

	memset(&wanted, 0, sizeof(wanted));
	if (crl->count + crl->past_count == 0 || !pack_serial_hex(serial, wanted.serial) ||
	    (issuer_key != NULL &&
	     !g_hash_table_lookup_extended(crl->issuer_index, issuer_key, NULL, &issuer)))
		return FALSE;
	wanted.issuer = (guint16)GPOINTER_TO_UINT(issuer);
	/* What was revoked once is so for ever, whatever this list calls it. */
	const struct crl_packed *found = find_packed(crl->past, crl->past_count, &wanted);
	if (found == NULL)
		found = find_entry(crl, &wanted);
	if (found == NULL)
		return FALSE;
	entry->serial_hex = NULL;
	entry->issuer_key = crl->issuers->pdata[found->issuer];
	entry->revoked_at = found->revoked_at;
	entry->reason = (enum crl_reason)found->reason;
	return TRUE;
}

/* The octets of the shortest INTEGER within a packed serial. */
static const guint8 *
unpack_serial(const struct crl_packed *entry, gsize *length)
{
	const guint8 *p = entry->serial;

	*length = CRL_SERIAL_BYTES;
	while (*length > 1 && ((p[0] == 0 && p[1] < 0x80) || (p[0] == 0xff && p[1] >= 0x80))) {
		p++;
		(*length)--;
	}
	return p;
}

static gboolean
visit_raw(const struct crl *crl,
	  gboolean (*visit)(const guint8 *, gsize, const struct crl_item *, gpointer),
	  gpointer data)
{
	struct der list = crl->revoked;
	struct crl_raw raw = { .issuer = 0 };
	gboolean go_on = TRUE;

	/* A second pass changes nothing in crl: every issuer is known, every flag set already. */
	while (go_on && crl_next_raw((struct crl *)crl, &list, &raw)) {
		struct crl_item item = {
			.issuer_key = raw.issuer != 0 ? crl->issuers->pdata[raw.issuer] : NULL,
			.revoked_at = raw.revoked_at,
			.reason = raw.reason,
		};
		go_on = visit(raw.serial.value, der_length(&raw.serial), &item, data);
	}
	return go_on;
}

void
crl_foreach_octets(const struct crl *crl,
		   gboolean (*visit)(const guint8 *, gsize, const struct crl_item *, gpointer),
		   gpointer data)
{
	gboolean go_on = TRUE;

	if (crl->long_serials) {
		(void)visit_raw(crl, visit, data);
		return;
	}
	for (gsize i = 0; go_on && i < crl->count; i++) {
		const struct crl_packed *entry = &crl->entries[i];
		struct crl_item item = {
			.issuer_key =
			    entry->issuer != 0 ? crl->issuers->pdata[entry->issuer] : NULL,
			.revoked_at = entry->revoked_at,
			.reason = (enum crl_reason)entry->reason,
		};
		gsize length;
		const guint8 *serial = unpack_serial(entry, &length);

		go_on = visit(serial, length, &item, data);
	}
}

static char *
element_serial_hex(const struct der_element *serial)
{
	const unsigned char *p = serial->start;
	g_autoptr(ASN1_INTEGER) number = d2i_ASN1_INTEGER(NULL, &p, serial->end - serial->start);

	if (number != NULL)
		return serial_hex(number);
	ERR_clear_error();
	return hex_encode(serial->value, der_length(serial));
}

void
crl_foreach(const struct crl *crl, gboolean (*visit)(const struct crl_item *, gpointer),
	    gpointer data)
{
	struct der list = crl->revoked;
	struct crl_raw raw = { .issuer = 0 };
	gboolean go_on = TRUE;

	/* A second pass changes nothing in crl: every issuer is known, every flag set already. */
	while (go_on && crl_next_raw((struct crl *)crl, &list, &raw)) {
		g_autofree char *serial = element_serial_hex(&raw.serial);
		struct crl_item entry = {
			.serial_hex = serial,
			.issuer_key = crl->issuers->pdata[raw.issuer],
			.revoked_at = raw.revoked_at,
			.reason = raw.reason,
		};
		go_on = visit(&entry, data);
	}
}

/* The signed bytes go to OpenSSL as one opaque SEQUENCE: no X509_CRL is made. */
static gboolean
verify_signature(const struct crl *crl, EVP_PKEY *pkey)
{
	const unsigned char *p = crl->algorithm.p;
	g_autoptr(X509_ALGOR) algorithm =
	    d2i_X509_ALGOR(NULL, &p, crl->algorithm.end - crl->algorithm.p);
	p = crl->signature.p;
	ASN1_BIT_STRING *signature =
	    d2i_ASN1_BIT_STRING(NULL, &p, crl->signature.end - crl->signature.p);
	ASN1_STRING *tbs = ASN1_STRING_type_new(V_ASN1_SEQUENCE);
	gboolean good =
	    algorithm != NULL && signature != NULL && tbs != NULL &&
	    crl->tbs.end - crl->tbs.p <= G_MAXINT &&
	    ASN1_STRING_set(tbs, crl->tbs.p, (int)(crl->tbs.end - crl->tbs.p)) == 1 &&
	    ASN1_item_verify(ASN1_ITEM_rptr(ASN1_SEQUENCE), algorithm, signature, tbs, pkey) == 1;

	ASN1_STRING_free(tbs);
	ASN1_BIT_STRING_free(signature);
	ERR_clear_error();
	return good;
}

/* The signature is checked once for each signer that is asked about: the list may be long. */
static gboolean
verify_once(const struct crl *crl, const struct cert *issuer, EVP_PKEY *pkey)
{
	struct crl *memory = (struct crl *)crl;
	gpointer known = NULL;

	g_mutex_lock(&memory->lock);
	gboolean found =
	    g_hash_table_lookup_extended(crl->signers, cert_thumbprint(issuer), NULL, &known);
	g_mutex_unlock(&memory->lock);
	if (found)
		return known != NULL;
	gboolean good = verify_signature(crl, pkey);
	g_mutex_lock(&memory->lock);
	if (g_hash_table_size(crl->signers) < SIGNERS_MAX)
		g_hash_table_replace(memory->signers, g_strdup(cert_thumbprint(issuer)),
				     GINT_TO_POINTER(good));
	g_mutex_unlock(&memory->lock);
	return good;
}

gboolean
crl_is_signed_by(const struct crl *crl, const struct cert *issuer)
{
	EVP_PKEY *pkey = cert_pkey(issuer);

	if (pkey == NULL || (cert_key_usage(issuer) & KEY_USAGE_CRL_SIGN) == 0 ||
	    strcmp(crl->issuer_key, cert_subject_key(issuer)) != 0 ||
	    (crl->aki != NULL && cert_ski(issuer) != NULL &&
	     strcmp(crl->aki, cert_ski(issuer)) != 0))
		return FALSE;
	/* The key is what signs: another certificate of it may speak for the list as well. */
	if (crl->signer_key != NULL && strcmp(crl->signer_key, cert_spki_sha256(issuer)) == 0)
		return TRUE;
	return crl->der != NULL && verify_once(crl, issuer, pkey);
}
