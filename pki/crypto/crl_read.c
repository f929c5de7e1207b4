/*
 * crl_read - one pass over the DER of a revocation list into packed entries.
 */
#include "pki/crypto/crl_internal.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/clock.h"
#include "store/base/hex.h"
#include "store/base/printable.h"

#define ISSUERS_MAX 65000
#define EXTENSIONS_MAX 32
#define POINTS_MAX 32

void
crl_pack_serial(const guint8 *bytes, gsize length, guint8 packed[CRL_SERIAL_BYTES])
{
	while (length > 1 && bytes[0] == 0 && length > CRL_SERIAL_BYTES) {
		bytes++;
		length--;
	}
	if (length > CRL_SERIAL_BYTES) {
		gsize size = CRL_SERIAL_BYTES;

		EVP_Q_digest(NULL, "SHA1", NULL, bytes, length, packed, &size);
		return;
	}
	memset(packed, length > 0 && (bytes[0] & 0x80) != 0 && length < CRL_SERIAL_BYTES ? 0xff : 0,
	       CRL_SERIAL_BYTES);
	if (length > 0)
		memcpy(packed + CRL_SERIAL_BYTES - length, bytes, length);
}

/* As memcmp over the twenty octets, but in three steps of a word. */
static inline int
compare(const struct crl_packed *x, const struct crl_packed *y)
{
	guint64 a, b;
	guint32 c, d;

	for (gsize i = 0; i < 16; i += 8) {
		memcpy(&a, x->serial + i, sizeof(a));
		memcpy(&b, y->serial + i, sizeof(b));
		if (a != b)
			return GUINT64_FROM_BE(a) < GUINT64_FROM_BE(b) ? -1 : 1;
	}
	memcpy(&c, x->serial + 16, sizeof(c));
	memcpy(&d, y->serial + 16, sizeof(d));
	if (c != d)
		return GUINT32_FROM_BE(c) < GUINT32_FROM_BE(d) ? -1 : 1;
	return (int)x->issuer - (int)y->issuer;
}

int
crl_compare_packed(const void *a, const void *b)
{
	return compare(a, b);
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

gboolean
crl_issuer_place(struct crl *crl, const char *key, guint *place)
{
	gpointer known;

	if (g_hash_table_lookup_extended(crl->issuer_index, key, NULL, &known)) {
		*place = GPOINTER_TO_UINT(known);
		return TRUE;
	}
	if (crl->issuers->len >= ISSUERS_MAX)
		return FALSE;
	*place = crl->issuers->len;
	g_ptr_array_add(crl->issuers, g_strdup(key));
	g_hash_table_insert(crl->issuer_index, crl->issuers->pdata[*place],
			    GUINT_TO_POINTER(*place));
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
		return crl_issuer_place(crl, key, issuer);
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

gboolean
crl_next_raw(struct crl *crl, struct der *list, struct crl_raw *raw)
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

static void
sort_few(struct crl_packed *entries, gsize count)
{
	for (gsize i = 1; i < count; i++) {
		struct crl_packed moved = entries[i];
		gsize k = i;

		for (; k > 0 && compare(&entries[k - 1], &moved) > 0; k--)
			entries[k] = entries[k - 1];
		entries[k] = moved;
	}
}

/* How many octets are the same in all, two left for a bucket. */
static gsize
common_octets(const struct crl_packed *entries, gsize count)
{
	gsize common = CRL_SERIAL_BYTES - 2;

	for (gsize i = 1; i < count; i++)
		for (gsize k = 0; k < common; k++)
			if (entries[i].serial[k] != entries[0].serial[k])
				common = k;
	return common;
}

/*
 * Serials are random for the most part: by their first two octets that are not all the same they
 * fall into buckets of a few entries. What does not is left to qsort.
 */
void
crl_sort_packed(struct crl_packed *entries, gsize count)
{
	enum { FEW = 64 };

	if (count < CRL_STARTS / 16) {
		qsort(entries, count, sizeof(*entries), crl_compare_packed);
		return;
	}
	gsize common = common_octets(entries, count);
	g_autofree guint32 *start = g_new0(guint32, CRL_STARTS + 1);
	g_autofree struct crl_packed *moved = g_new(struct crl_packed, count);
	for (gsize i = 0; i < count; i++)
		start[crl_bucket(&entries[i], common) + 1]++;
	for (guint b = 0; b < CRL_STARTS; b++)
		start[b + 1] += start[b];
	g_autofree guint32 *next = g_memdup2(start, CRL_STARTS * sizeof(*start));
	for (gsize i = 0; i < count; i++)
		moved[next[crl_bucket(&entries[i], common)]++] = entries[i];
	for (guint b = 0; b < CRL_STARTS; b++) {
		gsize n = start[b + 1] - start[b];

		if (n > FEW)
			qsort(moved + start[b], n, sizeof(*moved), crl_compare_packed);
		else
			sort_few(moved + start[b], n);
	}
	memcpy(entries, moved, count * sizeof(*moved));
}

/* A look-up in a long list would touch twenty pages; so it begins where the bucket does. */
static void
index_entries(struct crl *crl)
{
	guint next = 0;

	if (crl->count < 2 * CRL_STARTS)
		return;
	crl->common = common_octets(crl->entries, crl->count);
	crl->starts = g_new(guint32, CRL_STARTS + 1);
	for (gsize i = 0; i < crl->count; i++)
		while (next <= crl_bucket(&crl->entries[i], crl->common))
			crl->starts[next++] = (guint32)i;
	while (next <= CRL_STARTS)
		crl->starts[next++] = (guint32)crl->count;
}

static gboolean
read_entries(struct crl *crl, GError **error)
{
	struct der list = crl->revoked;
	gsize room = 0;
	gboolean sorted = TRUE;
	struct crl_raw raw = { .issuer = 0 };

	while (crl_next_raw(crl, &list, &raw)) {
		if (crl->count == CRL_ENTRIES_MAX)
			return fail_false(error, PS_ERROR_INVALID,
					  "the CRL has more than %d entries", CRL_ENTRIES_MAX);
		if (crl->count == room) {
			room = MAX(64, room * 2);
			crl->entries = g_realloc_n(crl->entries, room, sizeof(*crl->entries));
		}
		struct crl_packed *entry = &crl->entries[crl->count];
		crl_pack_serial(raw.serial.value, der_length(&raw.serial), entry->serial);
		crl->long_serials |= der_length(&raw.serial) > CRL_SERIAL_BYTES;
		entry->issuer = (guint16)raw.issuer;
		entry->reason = (guint8)raw.reason;
		entry->revoked_at = (guint32)CLAMP(raw.revoked_at, 0, G_MAXUINT32);
		sorted = sorted && (crl->count == 0 || compare(entry - 1, entry) <= 0);
		crl->count++;
	}
	if (list.p != list.end)
		return fail_false(error, PS_ERROR_INVALID, "entry %zu of the CRL is broken",
				  crl->count + 1);
	if (!sorted)
		crl_sort_packed(crl->entries, crl->count);
	if (crl->count < room)
		crl->entries = g_realloc_n(crl->entries, crl->count, sizeof(*crl->entries));
	index_entries(crl);
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
					       ? hex_encode(value.value, der_length(&value))
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
	guint own;
	(void)crl_issuer_place(crl, crl->issuer_key, &own);
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

gboolean
crl_read(struct crl *crl, GError **error)
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
