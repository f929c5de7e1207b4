/*
 * certs - the noun cert: list, import, export, delete (K5 to K8).
 */
#include "admin/api/cert_text.h"
#include "admin/api/cert_uses.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/api/importing.h"
#include "admin/api/paging.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/crypto/bundle.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/cas.h"
#include "store/db/tx.h"

#define USES_SHOWN 5 /* of them in a question */
#define SHA1_DIGITS 40
#define SHA256_DIGITS 64

/* --- list --- */

/* One field, or free text over all of them. */
static gboolean
filter_by_field(const struct call *call, struct cert_filter *filter, GError **error)
{
	static const char *const fields[] = { "email", "subject", "issuer", "serial",
					      "thumbprint" };

	filter->text = call_text(call, "text");
	for (gsize i = 0; i < G_N_ELEMENTS(fields); i++) {
		if (call_text(call, fields[i]) == NULL)
			continue;
		if (filter->text != NULL)
			return fail_false(error, PS_ERROR_INVALID,
					  "--%s: one field can be searched at a time, or TEXT in "
					  "all of them",
					  fields[i]);
		filter->field = fields[i];
		filter->text = call_text(call, fields[i]);
	}
	if (filter->text != NULL && *filter->text == '\0')
		return fail_false(error, PS_ERROR_INVALID,
				  "an empty text stands in all of them: leave it out");
	return TRUE;
}

gboolean
cert_text_filter(const struct call *call, const struct page *page, struct cert_filter *filter,
		 GError **error)
{
	const char *expired = call_text(call, "expired");

	memset(filter, 0, sizeof *filter);
	filter->now = clock_now(call->gateway->clock);
	if (expired != NULL && strcmp(expired, "no") == 0)
		filter->expired = CERT_EXPIRED_ONLY_UNEXPIRED;
	else if (expired != NULL && strcmp(expired, "only") == 0)
		filter->expired = CERT_EXPIRED_ONLY;
	filter->with_key = call_flag(call, "with-key") ? CERT_KEY_ONLY : CERT_KEY_ANY;
	filter->only_pending = call_flag(call, "pending");
	filter->limit = page->limit;
	filter->after = page->after;
	return filter_by_field(call, filter, error);
}

/* thumbprint -> DER of a page, in one query. */
GHashTable *
cert_text_ders(struct call *call, const GPtrArray *rows, GError **error)
{
	g_autofree const char **names = g_new0(const char *, rows->len + 1);
	GHashTable *ders =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_bytes_unref);

	for (guint i = 0; i < rows->len; i++)
		names[i] = ((const struct cert_row *)g_ptr_array_index(rows, i))->thumbprint;
	g_autoptr(GPtrArray) whole =
	    certs_by_thumbprints(call->gateway->db, names, rows->len, error);
	if (whole == NULL) {
		g_hash_table_unref(ders);
		return NULL;
	}
	for (guint i = 0; i < whole->len; i++) {
		const struct cert_row *row = g_ptr_array_index(whole, i);

		if (row->der != NULL)
			g_hash_table_insert(ders, g_strdup(row->thumbprint), g_bytes_ref(row->der));
	}
	return ders;
}

/* SHA-1 or SHA-256, as other programs name a certificate. */
static gboolean
is_other_digest(const struct cert_filter *filter)
{
	g_autofree char *digits = filter->text != NULL ? hex_from_spelling(filter->text) : NULL;
	gsize length = digits != NULL ? strlen(digits) : 0;

	return length == SHA1_DIGITS || length == SHA256_DIGITS;
}

json_t *
cert_list(struct call *call, GError **error)
{
	g_autoptr(GHashTable) ders = NULL;
	struct cert_filter filter;
	struct page page;
	json_t *items;

	if (!page_of(call, &page, error) || !cert_text_filter(call, &page, &filter, error))
		return NULL;
	g_autoptr(GPtrArray) rows = certs_list(call->gateway->db, &filter, error);
	if (rows == NULL)
		return NULL;
	if (!call_flag(call, "no-verdict") && (ders = cert_text_ders(call, rows, error)) == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = g_ptr_array_index(rows, i);
		GBytes *der = ders != NULL ? g_hash_table_lookup(ders, row->thumbprint) : NULL;

		json_array_append_new(items, cert_text_row(call, row, der));
		page_seen(&page, row->id);
	}
	json_t *answer = page_answer(&page, items);
	if (page.count == 0 && is_other_digest(&filter))
		json_object_set_new(
		    answer, "note",
		    json_string("thumbprints are searched by SHA-512; the SHA-1 and "
				"SHA-256 ones of other programs are shown by 'cert "
				"show' alone"));
	return answer;
}

/* --- import, export --- */

json_t *
cert_import(struct call *call, GError **error)
{
	return importing_run(
	    call, call_flag(call, "roots") ? IMPORTING_WITH_ROOTS : IMPORTING_STORE, error);
}

/* The valid ones of an address; with those of an earlier key, mail of then can be read. */
static gboolean
add_by_email(struct call *call, GPtrArray *certs, gboolean only_with_key, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *address = call_address(call, "email", error);

	if (address == NULL)
		return FALSE;
	const char *keys[] = { mailaddr_key(address) };
	g_autoptr(GPtrArray) rows = certs_by_emails(call->gateway->db, keys, 1, error);
	if (rows == NULL)
		return FALSE;
	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = g_ptr_array_index(rows, i);
		CLEANUP(cert) struct cert *cert = NULL;

		if (only_with_key && !row->has_key)
			continue;
		cert = cert_parse(row->der, error);
		if (cert == NULL)
			return FALSE;
		CLEANUP(verdict)
		struct verdict *verdict = trust_judge(call->gateway->trust, cert, TRUST_ANY, error);
		if (verdict == NULL)
			return FALSE;
		if (verdict->state == VERDICT_VALID && !cert_is_among(cert, certs))
			g_ptr_array_add(certs, cert_ref(cert));
	}
	return TRUE;
}

static void
entries_clear(GArray *entries)
{
	for (guint i = 0; i < entries->len; i++)
		key_unref((struct key *)g_array_index(entries, struct pkcs12_entry, i).key);
	g_array_unref(entries);
}

/* Certificates whose key is held become entries, all others go along as chain. */
static gboolean
collect_entries(struct call *call, GPtrArray *certs, GArray *entries, GPtrArray *chain,
		GError **error)
{
	for (guint i = 0; i < certs->len; i++) {
		struct cert *cert = g_ptr_array_index(certs, i);
		struct pkcs12_entry entry = { .cert = cert };
		gboolean held = FALSE;

		if (!cert_is_ca(cert) &&
		    !keyring_holds(call->gateway->keyring, cert_spki_sha256(cert), &held, error))
			return FALSE;
		if (!held) {
			g_ptr_array_add(chain, cert);
			continue;
		}
		entry.key = keyring_find(call->gateway->keyring, cert_spki_sha256(cert), error);
		if (entry.key == NULL)
			return FALSE;
		entry.label = cert_common_name(cert);
		g_array_append_val(entries, entry);
	}
	if (entries->len == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "no private key of these certificates is held here");
	return TRUE;
}

static json_t *
export_with_keys(struct call *call, GPtrArray *certs, GError **error)
{
	GArray *entries = g_array_new(FALSE, TRUE, sizeof(struct pkcs12_entry));
	g_autoptr(GPtrArray) chain = g_ptr_array_new();
	CLEANUP(secret) struct secret *password = call_password(call, "password");
	g_autoptr(GBytes) bytes = NULL;
	json_t *answer = NULL;

	if (collect_entries(call, certs, entries, chain, error))
		bytes = bundle_write_pkcs12(
		    (const struct pkcs12_entry *)(gpointer)entries->data, entries->len, chain,
		    password, call_flag(call, "compatible") ? PKCS12_COMPATIBLE : PKCS12_MODERN,
		    error);
	if (bytes != NULL) {
		const struct pkcs12_entry *first = &g_array_index(entries, struct pkcs12_entry, 0);

		answer = json_pack("{s:[o]}", "files", answer_file("keys.p12", bytes));
		if (!change_record(call, cert_thumbprint(first->cert), "exported with private key",
				   answer, error))
			g_clear_pointer(&answer, json_decref);
	}
	entries_clear(entries);
	return answer;
}

json_t *
cert_export(struct call *call, GError **error)
{
	const char *format = call_text(call, "format") != NULL ? call_text(call, "format") : "pem";
	gboolean with_keys = strcmp(format, "pkcs12") == 0;
	g_autoptr(GPtrArray) certs = cert_text_find_all(call, "certs", error);

	if (certs == NULL)
		return NULL;
	if (call_text(call, "email") != NULL && !add_by_email(call, certs, with_keys, error))
		return NULL;
	if (certs->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "no certificate: give thumbprints, or --email of one that has any");
	if (with_keys && call->role < ROLE_KEYS)
		return fail(error, PS_ERROR_DENIED, "private keys leave only with the role 'keys'");
	if (with_keys && call_text(call, "password") == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "pkcs12 needs a password: use --password-file or --password-fd");
	if (call_flag(call, "chain") || (with_keys && !call_flag(call, "no-chain")))
		cert_text_add_chain(call, certs);
	return with_keys ? export_with_keys(call, certs, error)
			 : cert_text_file(certs, format, "certificates", error);
}

/* --- delete --- */

static json_t *
delete_certs(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GPtrArray *certs = data;
	g_autoptr(GString) object = g_string_new(NULL);

	for (guint i = 0; i < certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(certs, i);

		if (!certs_delete(tx, cert_thumbprint(cert), error))
			return NULL;
		g_string_append_printf(object, "%s%s", i > 0 ? " " : "", cert_thumbprint(cert));
	}
	if (certs->len == 1)
		change->detail = g_strdup(cert_subject(g_ptr_array_index(certs, 0)));
	change->object = g_strdup(object->str);
	return json_pack("{s:i}", "deleted", (int)certs->len);
}

/* What would be missing without it; NULL: nothing, and FALSE with *error: that is not known. */
static gboolean
what_needs(struct call *call, const struct cert *cert, char **text, GError **error)
{
	g_autoptr(GPtrArray) uses = cert_uses(call, cert, error);
	g_autoptr(GPtrArray) cas = cas_list(call->gateway->db, error);
	g_autoptr(GString) out = g_string_new(NULL);
	gint64 issued = 0;

	*text = NULL;
	if (uses == NULL || cas == NULL)
		return FALSE;
	for (guint i = 0; i < uses->len; i++) {
		g_autofree char *use = cert_use_text(g_ptr_array_index(uses, i));

		if (i < USES_SHOWN)
			g_string_append_printf(out, "%s%s", i > 0 ? "; " : "it is selected: ", use);
	}
	if (uses->len > USES_SHOWN)
		g_string_append_printf(out, "; and %u more", uses->len - USES_SHOWN);
	for (guint i = 0; i < cas->len; i++)
		if (g_strcmp0(((const struct ca_row *)cas->pdata[i])->thumbprint,
			      cert_thumbprint(cert)) == 0)
			g_string_append_printf(out, "%sit is the certificate of the CA '%s' here",
					       out->len > 0 ? "; " : "",
					       ((const struct ca_row *)cas->pdata[i])->name);
	if (cert_is_ca(cert) &&
	    !certs_count_below(call->gateway->db, cert_subject_key(cert), &issued, error))
		return FALSE;
	if (issued > 0)
		g_string_append_printf(out,
				       "%s%" G_GINT64_FORMAT " certificates name it as issuer, "
				       "directly or not",
				       out->len > 0 ? "; " : "", issued);
	if (out->len > 0)
		*text = g_strdup(out->str);
	return TRUE;
}

json_t *
cert_delete(struct call *call, GError **error)
{
	json_t *answer = NULL;
	g_autoptr(GPtrArray) certs = cert_text_find_all(call, "certs", error);
	if (certs == NULL)
		return NULL;
	for (guint i = 0; i < certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(certs, i);
		g_autofree char *need = NULL;

		if (call_flag(call, "yes"))
			break;
		if (!what_needs(call, cert, &need, error))
			return NULL;
		if (need != NULL &&
		    !call_is_sure(call, &answer, "%s: %s", cert_subject(cert), need))
			return answer;
	}
	return change_run(call, delete_certs, certs, error);
}
