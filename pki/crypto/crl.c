/*
 * crl - one pass over the DER into sorted entries.
 *
 * OpenSSL's X509_CRL takes 375 bytes an entry and checks the signature again for every path;
 * hence the reader of our own. OpenSSL sees the small parts: names, extensions, the signature.
 */
#include "pki/crypto/crl.h"

#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "pki/crypto/der.h"
#include "pki/crypto/internal.h"
#include "store/base/clock.h"
#include "store/base/printable.h"

#define SERIAL_BYTES 20 /* RFC 5280 section 4.1.2.2 */
#define ISSUERS_MAX 65000
#define EXTENSIONS_MAX 32
#define POINTS_MAX 32
#define SIGNERS_MAX 64

/* A serial of up to 20 octets as a signed number; a longer one as its SHA-1. */
struct entry {
	guint8 serial[SERIAL_BYTES];
	guint16 issuer; /* index into issuers */
	guint8 reason;
	guint32 revoked_at; /* seconds, good until 2106 */
} __attribute__((packed));

struct crl {
	gint references;
	GBytes *der;
	struct der tbs; /* with its header, as it is signed */
	struct der algorithm;
	struct der signature;
	struct der revoked;
	char *thumbprint, *issuer, *issuer_key, *aki, *number, *base_number;
	gint64 this_update, next_update;
	unsigned int scope;
	unsigned int reasons; /* mask of bits 1 to 8 of ReasonFlags that it speaks of */
	char *scope_digest;
	GPtrArray *points;
	gboolean unknown_critical;
	enum algorithm signature_algorithm;
	GPtrArray *issuers; /* keys of names; the first is the list's own */
	struct entry *entries;
	gsize count;
	GMutex lock;
	GHashTable *signers; /* thumbprint of who was asked about -> whether it signed */
};

static const struct {
	enum crl_reason reason;
	const char *name;
} reasons[] = {
	{ REVOCATION_UNSPECIFIED, "unspecified" },
	{ REVOCATION_KEY_COMPROMISE, "keyCompromise" },
	{ REVOCATION_CA_COMPROMISE, "cACompromise" },
	{ REVOCATION_AFFILIATION_CHANGED, "affiliationChanged" },
	{ REVOCATION_SUPERSEDED, "superseded" },
	{ REVOCATION_CESSATION_OF_OPERATION, "cessationOfOperation" },
	{ REVOCATION_CERTIFICATE_HOLD, "certificateHold" },
	{ REVOCATION_REMOVE_FROM_CRL, "removeFromCRL" },
	{ REVOCATION_PRIVILEGE_WITHDRAWN, "privilegeWithdrawn" },
	{ REVOCATION_AA_COMPROMISE, "aACompromise" },
};

const char *
crl_reason_name(enum crl_reason reason)
{
	for (gsize i = 0; i < G_N_ELEMENTS(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].name;
	return "unspecified";
}

gboolean
crl_reason_by_name(const char *name, enum crl_reason *reason)
{
	for (gsize i = 0; i < G_N_ELEMENTS(reasons); i++)
		if (g_ascii_strcasecmp(reasons[i].name, name) == 0) {
			*reason = reasons[i].reason;
			return TRUE;
		}
	return FALSE;
}

static void
pack_serial(const guint8 *bytes, gsize length, guint8 packed[SERIAL_BYTES])
{
	while (length > 1 && bytes[0] == 0 && length > SERIAL_BYTES) {
		bytes++;
		length--;
	}
	if (length > SERIAL_BYTES) {
		gsize size = SERIAL_BYTES;

		EVP_Q_digest(NULL, "SHA1", NULL, bytes, length, packed, &size);
		return;
	}
	memset(packed, length > 0 && (bytes[0] & 0x80) != 0 && length < SERIAL_BYTES ? 0xff : 0,
	       SERIAL_BYTES);
	if (length > 0)
		memcpy(packed + SERIAL_BYTES - length, bytes, length);
}

/* The same from the text of cert_serial_hex. FALSE when it is none. */
static gboolean
pack_serial_hex(const char *hex, guint8 packed[SERIAL_BYTES])
{
	guint8 bytes[256] = { 0 };
	gboolean negative = *hex == '-';
	gsize digits = strlen(hex += negative);
	gsize length = (digits + 1) / 2;

	if (digits == 0 || length >= sizeof(bytes))
		return FALSE;
	for (gsize i = 0; i < digits; i++) {
		int value = g_ascii_xdigit_value(hex[digits - 1 - i]);

		if (value < 0)
			return FALSE;
		bytes[length - i / 2] |= (guint8)(i % 2 == 0 ? value : value << 4);
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
	pack_serial(bytes + skip, length + 1 - skip, packed);
	return TRUE;
}

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = memcmp(x->serial, y->serial, SERIAL_BYTES);

	return order != 0 ? order : (int)x->issuer - (int)y->issuer;
}

void
point_names(DIST_POINT_NAME *point, const X509_NAME *issuer, GPtrArray *points)
{
	if (point->type == 1) {
		if (DIST_POINT_set_dpname(point, issuer) == 1 && point->dpname != NULL) {
			g_autofree char *key = name_key(point->dpname);
			g_ptr_array_add(points, g_strconcat("DN:", key, NULL));
		}
		return;
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(point->name.fullname); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(point->name.fullname, i);

		if (points->len >= POINTS_MAX)
			return;
		if (name->type == GEN_URI) {
			const ASN1_STRING *uri = name->d.uniformResourceIdentifier;

			g_ptr_array_add(points,
					printable_bytes(ASN1_STRING_get0_data(uri),
							(gsize)ASN1_STRING_length(uri), 2048));
		} else if (name->type == GEN_DIRNAME) {
			g_autofree char *key = name_key(name->d.directoryName);
			g_ptr_array_add(points, g_strconcat("DN:", key, NULL));
		}
	}
}

static X509_NAME *
read_name(const guint8 *start, const guint8 *end)
{
	const unsigned char *p = start;
	X509_NAME *name = d2i_X509_NAME(NULL, &p, end - start);

	if (name == NULL || p != end) {
		ERR_clear_error();
		X509_NAME_free(name);
		return NULL;
	}
	return name;
}

static gboolean
is_oid(const struct der_element *oid, guint8 last)
{
	return der_length(oid) == 3 && oid->value[0] == 0x55 && oid->value[1] == 0x1d &&
	       oid->value[2] == last;
}

/* One Extension: id, whether it is critical, and its contents. */
static gboolean
next_extension(struct der *list, struct der_element *id, gboolean *critical, struct der *contents)
{
	struct der_element extension, flag, value;

	if (!der_take(list, DER_SEQUENCE, &extension))
		return FALSE;
	struct der inside = der_inside(&extension);
	if (!der_take(&inside, DER_OID, id))
		return FALSE;
	*critical =
	    der_take(&inside, DER_BOOLEAN, &flag) && der_length(&flag) == 1 && flag.value[0] != 0;
	if (!der_take(&inside, DER_OCTET_STRING, &value) || inside.p != inside.end)
		return FALSE;
	*contents = der_inside(&value);
	return TRUE;
}

/* RFC 5280 section 5.3.3: who issued this and the following entries of an indirect list. */
static gboolean
read_entry_issuer(struct crl *crl, struct der contents, guint *issuer)
{
	struct der_element names, name, inner;

	if (!der_take(&contents, DER_SEQUENCE, &names))
		return FALSE;
	struct der list = der_inside(&names);
	while (der_next(&list, &name)) {
		if (name.tag != 0xa4)
			continue;
		struct der inside = der_inside(&name);
		if (!der_take(&inside, DER_SEQUENCE, &inner))
			return FALSE;
		g_autoptr(X509_NAME) parsed = read_name(inner.start, inner.end);
		if (parsed == NULL)
			return FALSE;
		g_autofree char *key = name_key(parsed);
		for (*issuer = 0; *issuer < crl->issuers->len; (*issuer)++)
			if (strcmp(crl->issuers->pdata[*issuer], key) == 0)
				return TRUE;
		if (crl->issuers->len >= ISSUERS_MAX)
			return FALSE;
		g_ptr_array_add(crl->issuers, g_steal_pointer(&key));
		return TRUE;
	}
	return FALSE;
}

/* X.690 8.3.2: an INTEGER is as short as it can be. */
static gboolean
is_minimal(const struct der_element *number)
{
	const guint8 *value = number->value;

	if (der_length(number) < 2)
		return der_length(number) == 1;
	return value[0] == 0 ? value[1] >= 0x80 : value[0] != 0xff || value[1] < 0x80;
}

struct raw_entry {
	struct der_element serial;
	gint64 revoked_at;
	enum crl_reason reason;
	guint issuer;
};

/* FALSE at the end and when broken; the caller looks whether the list is used up. */
static gboolean
next_entry(struct crl *crl, struct der *list, struct raw_entry *raw)
{
	struct der_element entry, time, extensions, id;
	struct der contents;
	gboolean critical;

	if (!der_take(list, DER_SEQUENCE, &entry))
		return FALSE;
	struct der inside = der_inside(&entry);
	if (!der_take(&inside, DER_INTEGER, &raw->serial) || !is_minimal(&raw->serial) ||
	    !der_next(&inside, &time) || !der_time(&time, &raw->revoked_at))
		goto broken;
	raw->reason = REVOCATION_UNSPECIFIED;
	if (der_take(&inside, DER_SEQUENCE, &extensions)) {
		struct der all = der_inside(&extensions);

		while (all.p != all.end) {
			struct der_element value;

			if (!next_extension(&all, &id, &critical, &contents))
				goto broken;
			if (is_oid(&id, 0x15)) {
				if (!der_take(&contents, DER_ENUMERATED, &value) ||
				    der_length(&value) != 1)
					goto broken;
				raw->reason = (enum crl_reason)value.value[0];
			} else if (is_oid(&id, 0x1d)) {
				if (!read_entry_issuer(crl, contents, &raw->issuer))
					goto broken;
			} else if (critical && !crl->unknown_critical) {
				crl->unknown_critical = TRUE;
			}
		}
	}
	if (inside.p == inside.end)
		return TRUE;
broken:
	list->p = entry.start;
	return FALSE;
}

static gboolean
read_entries(struct crl *crl, GError **error)
{
	struct der list = crl->revoked;
	gsize room = 0;
	gboolean sorted = TRUE;
	struct raw_entry raw = { .issuer = 0 };

	while (next_entry(crl, &list, &raw)) {
		if (crl->count == CRL_ENTRIES_MAX)
			return fail_false(error, PS_ERROR_INVALID,
					  "the CRL has more than %d entries", CRL_ENTRIES_MAX);
		if (crl->count == room) {
			room = MAX(64, room * 2);
			crl->entries = g_realloc_n(crl->entries, room, sizeof(*crl->entries));
		}
		struct entry *entry = &crl->entries[crl->count];
		pack_serial(raw.serial.value, der_length(&raw.serial), entry->serial);
		entry->issuer = (guint16)raw.issuer;
		entry->reason = (guint8)raw.reason;
		entry->revoked_at = (guint32)CLAMP(raw.revoked_at, 0, G_MAXUINT32);
		sorted &= crl->count == 0 || compare_entries(entry - 1, entry) <= 0;
		crl->count++;
	}
	if (list.p != list.end)
		return fail_false(error, PS_ERROR_INVALID, "entry %zu of the CRL is broken",
				  crl->count + 1);
	if (!sorted)
		qsort(crl->entries, crl->count, sizeof(*crl->entries), compare_entries);
	if (crl->count < room)
		crl->entries = g_realloc_n(crl->entries, crl->count, sizeof(*crl->entries));
	return TRUE;
}

static char *
integer_hex(struct der contents)
{
	struct der_element number;

	if (!der_take(&contents, DER_INTEGER, &number))
		return NULL;
	struct der value = der_inside(&number);
	return number_hex(value.p, (gsize)(value.end - value.p));
}

unsigned int
reason_mask(const ASN1_BIT_STRING *flags)
{
	unsigned int mask = 0;

	for (int i = 1; i <= 8; i++)
		if (flags == NULL || ASN1_BIT_STRING_get_bit(flags, i) == 1)
			mask |= 1u << i;
	return mask;
}

/* RFC 5280 section 5.2.5 */
static gboolean
read_issuing_point(struct crl *crl, struct der contents, const X509_NAME *issuer)
{
	const unsigned char *p = contents.p;
	ISSUING_DIST_POINT *idp = d2i_ISSUING_DIST_POINT(NULL, &p, contents.end - contents.p);

	if (idp == NULL) {
		ERR_clear_error();
		return FALSE;
	}
	crl->scope |= idp->onlyuser > 0 ? CRL_SCOPE_ONLY_USER : 0;
	crl->scope |= idp->onlyCA > 0 ? CRL_SCOPE_ONLY_CA : 0;
	crl->scope |= idp->onlyattr > 0 ? CRL_SCOPE_ONLY_ATTRIBUTE : 0;
	crl->scope |= idp->indirectCRL > 0 ? CRL_SCOPE_INDIRECT : 0;
	if (idp->onlysomereasons != NULL) {
		crl->scope |= CRL_SCOPE_SOME_REASONS;
		crl->reasons = reason_mask(idp->onlysomereasons);
	}
	if (idp->distpoint != NULL) {
		crl->scope |= CRL_SCOPE_POINT;
		point_names(idp->distpoint, issuer, crl->points);
	}
	ISSUING_DIST_POINT_free(idp);
	return p == contents.end;
}

static gboolean
read_extensions(struct crl *crl, struct der list, const X509_NAME *issuer, GError **error)
{
	struct der_element id, value;
	struct der contents;
	gboolean critical, good = TRUE;

	for (int i = 0; good && list.p != list.end; i++) {
		if (i == EXTENSIONS_MAX || !next_extension(&list, &id, &critical, &contents))
			return fail_false(error, PS_ERROR_INVALID,
					  "an extension of the CRL is broken");
		if (is_oid(&id, 0x23)) { /* authorityKeyIdentifier */
			if (der_take(&contents, DER_SEQUENCE, &value)) {
				struct der aki = der_inside(&value);

				g_free(crl->aki);
				crl->aki = der_take(&aki, 0x80, &value)
					       ? hex_of(value.value, der_length(&value))
					       : NULL;
			}
		} else if (is_oid(&id, 0x14)) { /* cRLNumber */
			g_free(crl->number);
			crl->number = integer_hex(contents);
			good = crl->number != NULL;
		} else if (is_oid(&id, 0x1b)) { /* deltaCRLIndicator */
			g_free(crl->base_number);
			crl->base_number = integer_hex(contents);
			crl->scope |= CRL_SCOPE_DELTA;
			good = crl->base_number != NULL;
		} else if (is_oid(&id, 0x1c)) { /* issuingDistributionPoint */
			g_free(crl->scope_digest);
			crl->scope_digest =
			    digest_hex("SHA256", contents.p, (gsize)(contents.end - contents.p));
			good = read_issuing_point(crl, contents, issuer);
		} else if (critical) {
			crl->unknown_critical = TRUE;
		}
	}
	if (!good)
		return fail_false(error, PS_ERROR_INVALID, "an extension of the CRL is broken");
	return TRUE;
}

static gboolean
read_dates(struct crl *crl, struct der *tbs, GError **error)
{
	struct der_element time;

	if (!der_next(tbs, &time) || !der_time(&time, &crl->this_update))
		return fail_false(error, PS_ERROR_INVALID, "the CRL has no thisUpdate");
	crl->next_update = CLOCK_NEVER;
	if (der_peek(tbs) == DER_UTC_TIME || der_peek(tbs) == DER_GENERALIZED_TIME) {
		if (!der_next(tbs, &time) || !der_time(&time, &crl->next_update))
			return fail_false(error, PS_ERROR_INVALID,
					  "the nextUpdate of the CRL cannot be read");
	}
	return TRUE;
}

/* RFC 5280 section 5.1.2 */
static gboolean
read_tbs(struct crl *crl, struct der tbs, GError **error)
{
	struct der_element version, algorithm, issuer, revoked, wrapper, extensions;

	(void)der_take(&tbs, DER_INTEGER, &version);
	if (!der_take(&tbs, DER_SEQUENCE, &algorithm) || !der_take(&tbs, DER_SEQUENCE, &issuer))
		return fail_false(error, PS_ERROR_INVALID, "not a CRL, or damaged");
	gsize algorithm_length = (gsize)(algorithm.end - algorithm.start);
	if (algorithm_length != (gsize)(crl->algorithm.end - crl->algorithm.p) ||
	    memcmp(algorithm.start, crl->algorithm.p, algorithm_length) != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "the CRL names two signature algorithms");
	g_autoptr(X509_NAME) name = read_name(issuer.start, issuer.end);
	if (name == NULL)
		return fail_false(error, PS_ERROR_INVALID, "the issuer of the CRL cannot be read");
	crl->issuer = name_text(name);
	crl->issuer_key = name_key(name);
	g_ptr_array_add(crl->issuers, g_strdup(crl->issuer_key));
	if (!read_dates(crl, &tbs, error))
		return FALSE;
	crl->revoked = der_of(tbs.p, 0);
	if (der_take(&tbs, DER_SEQUENCE, &revoked))
		crl->revoked = der_inside(&revoked);
	if (der_take(&tbs, DER_CONTEXT_0, &wrapper)) {
		struct der inside = der_inside(&wrapper);

		if (!der_take(&inside, DER_SEQUENCE, &extensions) || inside.p != inside.end)
			return fail_false(error, PS_ERROR_INVALID,
					  "the extensions of the CRL are broken");
		if (!read_extensions(crl, der_inside(&extensions), name, error))
			return FALSE;
	}
	if (tbs.p != tbs.end)
		return fail_false(error, PS_ERROR_INVALID,
				  "the CRL has parts that it must not have");
	return read_entries(crl, error);
}

static gboolean
read_all(struct crl *crl, GError **error)
{
	gsize length;
	const guint8 *bytes = g_bytes_get_data(crl->der, &length);
	struct der all = der_of(bytes, length);
	struct der_element outer, tbs, algorithm, signature;

	if (!der_take(&all, DER_SEQUENCE, &outer))
		return fail_false(error, PS_ERROR_INVALID, "not a CRL, or damaged");
	if (all.p != all.end)
		return fail_false(error, PS_ERROR_INVALID, "%td bytes follow the CRL",
				  all.end - all.p);
	struct der inside = der_inside(&outer);
	if (!der_take(&inside, DER_SEQUENCE, &tbs) ||
	    !der_take(&inside, DER_SEQUENCE, &algorithm) ||
	    !der_take(&inside, DER_BIT_STRING, &signature) || inside.p != inside.end)
		return fail_false(error, PS_ERROR_INVALID, "not a CRL, or damaged");
	crl->tbs = (struct der){ tbs.start, tbs.end };
	crl->algorithm = (struct der){ algorithm.start, algorithm.end };
	crl->signature = (struct der){ signature.start, signature.end };

	const unsigned char *p = algorithm.start;
	g_autoptr(X509_ALGOR) parsed = d2i_X509_ALGOR(NULL, &p, algorithm.end - algorithm.start);
	if (parsed == NULL)
		return fail_openssl_false(error, PS_ERROR_INVALID, "not a CRL, or damaged");
	crl->signature_algorithm = algorithm_of(parsed);
	return read_tbs(crl, der_inside(&tbs), error);
}

struct crl *
crl_parse(GBytes *der, GError **error)
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
	if (!read_all(crl, error)) {
		crl_unref(crl);
		return NULL;
	}
	g_ptr_array_add(crl->points, NULL);
	if (crl->scope_digest == NULL)
		crl->scope_digest = g_strdup("");
	crl->thumbprint = digest_hex("SHA512", g_bytes_get_data(der, NULL), length);
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
	g_bytes_unref(crl->der);
	g_free(crl->thumbprint);
	g_free(crl->issuer);
	g_free(crl->issuer_key);
	g_free(crl->aki);
	g_free(crl->number);
	g_free(crl->base_number);
	g_free(crl->scope_digest);
	g_ptr_array_unref(crl->points);
	g_ptr_array_unref(crl->issuers);
	g_free(crl->entries);
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
GETTER(const char *, thumbprint, thumbprint)
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
GETTER(enum algorithm, signature_algorithm, signature_algorithm)
GETTER(gsize, entry_count, count)
#undef GETTER

gsize
crl_memory(const struct crl *crl)
{
	return sizeof(*crl) + g_bytes_get_size(crl->der) + crl->count * sizeof(*crl->entries);
}

const char *const *
crl_points(const struct crl *crl)
{
	return (const char *const *)crl->points->pdata;
}

static gboolean
find_issuer(const struct crl *crl, const char *key, guint *index)
{
	*index = 0;
	if (key == NULL)
		return TRUE;
	for (; *index < crl->issuers->len; (*index)++)
		if (strcmp(crl->issuers->pdata[*index], key) == 0)
			return TRUE;
	return FALSE;
}

gboolean
crl_find(const struct crl *crl, const char *issuer_key, const char *serial, struct crl_item *entry)
{
	struct entry wanted;
	guint issuer;

	memset(&wanted, 0, sizeof(wanted));
	if (crl->count == 0 || !pack_serial_hex(serial, wanted.serial) ||
	    !find_issuer(crl, issuer_key, &issuer))
		return FALSE;
	wanted.issuer = (guint16)issuer;
	const struct entry *found =
	    bsearch(&wanted, crl->entries, crl->count, sizeof(*crl->entries), compare_entries);
	if (found == NULL)
		return FALSE;
	entry->serial_hex = NULL;
	entry->issuer_key = crl->issuers->pdata[found->issuer];
	entry->revoked_at = found->revoked_at;
	entry->reason = (enum crl_reason)found->reason;
	return TRUE;
}

static char *
element_serial_hex(const struct der_element *serial)
{
	const unsigned char *p = serial->start;
	g_autoptr(ASN1_INTEGER) number = d2i_ASN1_INTEGER(NULL, &p, serial->end - serial->start);

	if (number != NULL)
		return serial_hex(number);
	ERR_clear_error();
	return hex_of(serial->value, der_length(serial));
}

void
crl_foreach(const struct crl *crl, gboolean (*visit)(const struct crl_item *, gpointer),
	    gpointer data)
{
	struct der list = crl->revoked;
	struct raw_entry raw = { .issuer = 0 };
	gboolean go_on = TRUE;

	/* A second pass changes nothing in crl: every issuer is known, every flag set already. */
	while (go_on && next_entry((struct crl *)crl, &list, &raw)) {
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

X509_CRL *
crl_x509(const struct crl *crl, GError **error)
{
	gsize length;
	const unsigned char *p = g_bytes_get_data(crl->der, &length);
	X509_CRL *x509 = d2i_X509_CRL(NULL, &p, (long)length);

	if (x509 == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "the CRL of '%s' cannot be read",
				    crl->issuer);
	return x509;
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

	return pkey != NULL && (cert_key_usage(issuer) & KEY_USAGE_CRL_SIGN) != 0 &&
	       strcmp(crl->issuer_key, cert_subject_key(issuer)) == 0 &&
	       (crl->aki == NULL || cert_ski(issuer) == NULL ||
		strcmp(crl->aki, cert_ski(issuer)) == 0) &&
	       verify_once(crl, issuer, pkey);
}

GPtrArray *
crl_facts(const struct crl *crl)
{
	static const struct {
		enum crl_scope bit;
		const char *name;
	} scopes[] = {
		{ CRL_SCOPE_ONLY_USER, "end user certificates only" },
		{ CRL_SCOPE_ONLY_CA, "CA certificates only" },
		{ CRL_SCOPE_ONLY_ATTRIBUTE, "attribute certificates only" },
		{ CRL_SCOPE_INDIRECT, "indirect" },
		{ CRL_SCOPE_SOME_REASONS, "some reasons only" },
		{ CRL_SCOPE_DELTA, "delta" },
	};
	GPtrArray *facts = g_ptr_array_new_with_free_func((GDestroyNotify)fact_free);
	g_autofree char *this_update = clock_format(crl->this_update);
	g_autofree char *next_update =
	    crl->next_update == CLOCK_NEVER ? g_strdup("none") : clock_format(crl->next_update);
	g_autofree char *entries = g_strdup_printf("%zu", crl->count);

	fact_add(facts, "issuer", crl->issuer);
	fact_add(facts, "number", crl->number);
	fact_add(facts, "delta-base", crl->base_number);
	fact_add(facts, "this-update", this_update);
	fact_add(facts, "next-update", next_update);
	fact_add(facts, "entries", entries);
	for (gsize i = 0; i < G_N_ELEMENTS(scopes); i++)
		if ((crl->scope & scopes[i].bit) != 0)
			fact_add_many(facts, "scope", scopes[i].name);
	for (guint i = 0; i + 1 < crl->points->len; i++)
		fact_add_many(facts, "distribution-point", crl->points->pdata[i]);
	fact_add(facts, "authority-key-id", crl->aki);
	fact_add(facts, "signature-algorithm", algorithm_name(crl->signature_algorithm));
	if (crl->unknown_critical)
		fact_add(facts, "warning", "has a critical extension that is not known");
	fact_add(facts, "thumbprint", crl->thumbprint);
	return facts;
}
