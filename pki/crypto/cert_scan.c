/*
 * cert_scan - a row out of the fields; names and addresses are read here.
 */
#include "pki/crypto/cert_scan.h"

#include <string.h>

#include "pki/crypto/cert_fields.h"
#include "pki/crypto/cert_scan_internal.h"
#include "store/base/hex.h"

#define NAMES_MAX 512

struct cert_scanner {
	GHashTable *issuers; /* GBytes of the Name -> struct scan_name */
};

static void
name_free(gpointer p)
{
	scan_name_clear(p);
	g_free(p);
}

struct cert_scanner *
cert_scanner_new(void)
{
	struct cert_scanner *scanner = g_new0(struct cert_scanner, 1);

	scanner->issuers = g_hash_table_new_full(g_bytes_hash, g_bytes_equal,
						 (GDestroyNotify)g_bytes_unref, name_free);
	return scanner;
}

void
cert_scanner_free(struct cert_scanner *scanner)
{
	if (scanner == NULL)
		return;
	g_hash_table_unref(scanner->issuers);
	g_free(scanner);
}

/* Issuers repeat: few of them sign many. */
static const struct scan_name *
issuer_name(struct cert_scanner *scanner, const struct tlv *whole)
{
	g_autoptr(GBytes) view = g_bytes_new_static(whole->bytes, whole->length);
	struct scan_name *name = g_hash_table_lookup(scanner->issuers, view);

	if (name != NULL)
		return name;
	name = g_new0(struct scan_name, 1);
	if (!scan_name_read(name, whole)) {
		name_free(name);
		return NULL;
	}
	if (g_hash_table_size(scanner->issuers) >= NAMES_MAX)
		g_hash_table_remove_all(scanner->issuers);
	g_hash_table_insert(scanner->issuers, g_bytes_new(whole->bytes, whole->length), name);
	return name;
}

static gboolean
read_names(struct cert_scanner *scanner, const struct cert_fields *fields, struct cert_row *row,
	   GPtrArray *addresses)
{
	const struct scan_name *issuer = issuer_name(scanner, &fields->issuer);
	struct scan_name subject;

	if (issuer == NULL || !scan_name_read(&subject, &fields->subject))
		return FALSE;
	row->issuer = g_strdup(issuer->text);
	row->issuer_key = g_strdup(issuer->key);
	row->subject = g_steal_pointer(&subject.text);
	row->subject_key = g_steal_pointer(&subject.key);
	gboolean good = scan_addresses(addresses, fields, subject.emails);
	scan_name_clear(&subject);
	/* Whether it is self-signed only its signature says. */
	return good && strcmp(row->subject_key, row->issuer_key) != 0;
}

static char *
hex_or_null(const struct tlv *octets)
{
	return octets->length > 0 ? hex_encode(octets->bytes, octets->length) : NULL;
}

struct cert_row *
cert_scan(struct cert_scanner *scanner, GBytes *der)
{
	CLEANUP(cert_row) struct cert_row *row = g_new0(struct cert_row, 1);
	g_autoptr(GPtrArray) addresses = scan_addresses_new();
	g_autoptr(GStrvBuilder) keys = g_strv_builder_new();
	struct tlv in = tlv_of_bytes(der);
	struct cert_fields fields;

	if (!cert_fields_read(&fields, in) || !read_names(scanner, &fields, row, addresses))
		return NULL;
	row->not_before = fields.not_before;
	row->not_after = fields.not_after;
	row->serial = number_hex(fields.serial.bytes, fields.serial.length);
	row->spki_sha256 = digest_hex("SHA256", fields.spki.bytes, fields.spki.length);
	row->ski = hex_or_null(&fields.subject_key_id);
	row->aki = hex_or_null(&fields.authority_key_id);
	row->is_ca = fields.is_ca;
	row->key_kind = g_strdup(key_kind_name(fields.key_kind));
	row->key_bits = (gint)fields.key_bits;
	row->thumbprint = digest_hex("SHA512", in.bytes, in.length);
	row->der = g_bytes_ref(der);
	for (guint i = 0; i < addresses->len; i++)
		g_strv_builder_add(keys, mailaddr_key(addresses->pdata[i]));
	row->emails = g_strv_builder_end(keys);
	row->origin = g_strdup("import");
	return g_steal_pointer(&row);
}
