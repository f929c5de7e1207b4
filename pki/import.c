/*
 * import - bundles into the stores, in transactions of a few hundred objects.
 */
#include "pki/import.h"

#include <string.h>

#include "pki/crl_load.h"
#include "pki/crypto/bundle.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/key.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/db/tx.h"
#include "store/keys.h"
#include "store/roots.h"

#define OBJECTS_AT_ONCE 500

static void
import_item_free(gpointer data)
{
	struct import_item *item = data;

	g_free(item->id);
	g_free(item->subject);
	g_free(item->note);
	g_free(item);
}

void
import_report_free(struct import_report *report)
{
	if (report == NULL)
		return;
	g_ptr_array_unref(report->items);
	g_free(report);
}

const char *
import_kind_name(enum import_kind kind)
{
	switch (kind) {
	case IMPORT_CERT:
		return "certificate";
	case IMPORT_CA:
		return "ca";
	case IMPORT_ROOT:
		return "root";
	case IMPORT_KEY:
		return "key";
	case IMPORT_CRL:
		return "crl";
	case IMPORT_UNKNOWN:
		return "object";
	}
	return "object";
}

const char *
import_outcome_name(enum import_outcome outcome)
{
	switch (outcome) {
	case IMPORT_NEW:
		return "new";
	case IMPORT_PRESENT:
		return "already there";
	case IMPORT_REJECTED:
		return "rejected";
	}
	return "rejected";
}

static struct import_item *
item_add(GPtrArray *items, enum import_kind kind, const char *id, const char *subject)
{
	struct import_item *item = g_new0(struct import_item, 1);

	item->kind = kind;
	item->outcome = IMPORT_REJECTED;
	item->id = g_strdup(id);
	item->subject = g_strdup(subject);
	g_ptr_array_add(items, item);
	return item;
}

static void
item_stored(struct import_item *item, gboolean is_new)
{
	item->outcome = is_new ? IMPORT_NEW : IMPORT_PRESENT;
}

struct cert_row *
cert_row_from(const struct cert *cert)
{
	struct cert_row *row = g_new0(struct cert_row, 1);
	GPtrArray *emails = cert_emails(cert);
	g_autoptr(GStrvBuilder) keys = g_strv_builder_new();

	for (guint i = 0; i < emails->len; i++)
		g_strv_builder_add(keys, mailaddr_key(g_ptr_array_index(emails, i)));
	row->thumbprint = g_strdup(cert_thumbprint(cert));
	row->der = g_bytes_ref(cert_der(cert));
	row->subject = g_strdup(cert_subject(cert));
	row->issuer = g_strdup(cert_issuer(cert));
	row->subject_key = g_strdup(cert_subject_key(cert));
	row->issuer_key = g_strdup(cert_issuer_key(cert));
	row->serial = g_strdup(cert_serial_hex(cert));
	row->not_before = cert_not_before(cert);
	row->not_after = cert_not_after(cert);
	row->spki_sha256 = g_strdup(cert_spki_sha256(cert));
	row->ski = g_strdup(cert_ski(cert));
	row->aki = g_strdup(cert_aki(cert));
	row->is_ca = cert_is_ca(cert);
	row->self_signed = cert_is_self_signed(cert);
	row->key_kind = g_strdup(key_kind_name(cert_key_kind(cert)));
	row->key_bits = (gint)cert_key_bits(cert);
	row->emails = g_strv_builder_end(keys);
	row->origin = g_strdup("import");
	return row;
}

gboolean
import_cert(struct tx *tx, const struct cert *cert, const struct import_options *options,
	    gboolean *is_new, GError **error)
{
	CLEANUP(cert_row) struct cert_row *row = cert_row_from(cert);

	if (options->origin != NULL) {
		g_free(row->origin);
		row->origin = g_strdup(options->origin);
	}
	row->origin_detail = options->name != NULL ? printable(options->name) : NULL;
	row->request_id = options->request_id;
	row->pending = options->pending;
	return certs_insert(tx, row, is_new, error);
}

gboolean
import_root(struct tx *tx, const struct cert *cert, const char *source, gboolean *is_new,
	    GError **error)
{
	struct root_row row = {
		.thumbprint = (char *)cert_thumbprint(cert),
		.der = cert_der(cert),
		.subject = (char *)cert_subject(cert),
		.subject_key = (char *)cert_subject_key(cert),
		.serial = (char *)cert_serial_hex(cert),
		.not_before = cert_not_before(cert),
		.not_after = cert_not_after(cert),
		.spki_sha256 = (char *)cert_spki_sha256(cert),
		.ski = (char *)cert_ski(cert),
		.source = (char *)source,
	};

	return roots_insert(tx, &row, is_new, error);
}

gboolean
import_crl(struct db *db, struct tx *tx, const struct crl *crl, const struct cert *issuer,
	   const char *source, gboolean *is_new, GError **error)
{
	CLEANUP(crl_loader) struct crl_loader *loader = crl_loader_new(db, NULL);
	g_autofree char *reason = NULL;
	enum crl_load_outcome outcome;

	if (!crl_load_in(loader, tx, crl, issuer, source, &outcome, &reason, error))
		return FALSE;
	if (outcome == CRL_LOAD_KEPT)
		return fail_false(error, PS_ERROR_INVALID, "the CRL of '%s' has no effect: %s",
				  crl_issuer(crl), reason);
	*is_new = outcome == CRL_LOAD_IN_FORCE;
	return TRUE;
}

/* One transaction's share of a bundle. */
struct piece {
	struct db *db;
	struct keyring *keyring;
	struct crl_loader *loader;
	const struct bundle *bundle;
	const struct import_options *options;
	guint from, to; /* of certificates, then keys, then CRLs, counted through */
	GPtrArray *items;
};

static gboolean
piece_cert(struct piece *piece, struct tx *tx, const struct cert *cert, GError **error)
{
	const struct import_options *options = piece->options;
	gboolean as_root = options->as_roots && cert_is_ca(cert) && cert_is_self_signed(cert);
	gboolean is_new;
	struct import_item *item = item_add(piece->items,
					    as_root            ? IMPORT_ROOT
					    : cert_is_ca(cert) ? IMPORT_CA
							       : IMPORT_CERT,
					    cert_thumbprint(cert), cert_subject(cert));

	if (as_root ? !import_root(tx, cert, "import", &is_new, error)
		    : !import_cert(tx, cert, options, &is_new, error))
		return FALSE;
	item_stored(item, is_new);
	if (options->as_roots && !as_root)
		item->note = g_strdup("no self-signed CA, so it is in the certificate store");
	else if (!as_root && cert_is_ca(cert) && cert_is_self_signed(cert))
		item->note = g_strdup("not trusted as a root; for that: postseal root import");
	return TRUE;
}

static gboolean
piece_key(struct piece *piece, struct tx *tx, const struct key *key, GError **error)
{
	struct import_item *item =
	    item_add(piece->items, IMPORT_KEY, key_spki_sha256(key), key_text(key));
	gboolean is_new;

	if (!keyring_store(piece->keyring, tx, key, "imported", piece->options->request_id, &is_new,
			   error))
		return FALSE;
	item_stored(item, is_new);
	return TRUE;
}

/* Whatever is wrong with it, the list is kept and shown; the loader says so. */
static gboolean
piece_crl(struct piece *piece, struct tx *tx, const struct crl *crl, GError **error)
{
	struct import_item *item =
	    item_add(piece->items, IMPORT_CRL, crl_thumbprint(crl), crl_issuer(crl));
	const char *name = piece->options->name;
	g_autofree char *source = name != NULL ? printable(name) : NULL;
	g_autofree char *reason = NULL;
	enum crl_load_outcome outcome;

	if (!crl_load_in(piece->loader, tx, crl, NULL, source, &outcome, &reason, error))
		return FALSE;
	item_stored(item, outcome == CRL_LOAD_IN_FORCE || outcome == CRL_LOAD_KEPT);
	if (outcome == CRL_LOAD_KEPT)
		item->note = g_strdup_printf("kept without effect: %s", reason);
	else if (*reason != '\0')
		item->note = g_strdup(reason);
	return TRUE;
}

static gboolean
piece_run(struct tx *tx, gpointer data, GError **error)
{
	struct piece *piece = data;
	const struct bundle *bundle = piece->bundle;

	g_ptr_array_set_size(piece->items, 0); /* a transaction can run twice */
	for (guint n = piece->from; n < piece->to; n++) {
		guint i = n;
		gboolean good;
		if (i < bundle->certs->len) {
			good = piece_cert(piece, tx, g_ptr_array_index(bundle->certs, i), error);
		} else if ((i -= bundle->certs->len) < bundle->keys->len) {
			good = piece_key(piece, tx, g_ptr_array_index(bundle->keys, i), error);
		} else {
			i -= bundle->keys->len;
			good = piece_crl(piece, tx, g_ptr_array_index(bundle->crls, i), error);
		}
		if (!good)
			return FALSE;
	}
	return TRUE;
}

static void
count_item(struct import_report *report, const struct import_item *item)
{
	report->added += item->outcome == IMPORT_NEW;
	report->present += item->outcome == IMPORT_PRESENT;
	report->rejected += item->outcome == IMPORT_REJECTED;
}

static void
report_take(struct import_report *report, GPtrArray *items)
{
	while (items->len > 0) {
		struct import_item *item = g_ptr_array_steal_index(items, 0);
		count_item(report, item);
		g_ptr_array_add(report->items, item);
	}
}

/* A piece that fails for a reason of its own is tried object by object, so that the bad one is
   named and the rest is stored. */
static gboolean
run_piece(struct piece *piece, struct import_report *report, GError **error)
{
	g_autoptr(GError) why = NULL;

	if (db_transaction(piece->db, piece_run, piece, &why)) {
		report_take(report, piece->items);
		return TRUE;
	}
	if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	if (piece->to - piece->from > 1) {
		guint to = piece->to;
		for (guint n = piece->from; n < to; n++) {
			piece->from = n;
			piece->to = n + 1;
			if (!run_piece(piece, report, error))
				return FALSE;
		}
		return TRUE;
	}
	if (piece->items->len == 0)
		(void)item_add(piece->items, IMPORT_UNKNOWN, NULL, "object");
	struct import_item *item = g_ptr_array_index(piece->items, 0);
	item->outcome = IMPORT_REJECTED;
	g_free(item->note);
	item->note = g_strdup(why->message);
	report_take(report, piece->items);
	return TRUE;
}

/* K9: which certificates have their key by now, in whatever order they came. */
static gboolean
note_keys(struct db *db, const struct bundle *bundle, struct import_report *report, GError **error)
{
	g_autoptr(GPtrArray) digests = g_ptr_array_new();

	for (guint i = 0; i < bundle->certs->len; i++)
		g_ptr_array_add(digests,
				(gpointer)cert_spki_sha256(g_ptr_array_index(bundle->certs, i)));
	if (digests->len == 0)
		return TRUE;
	g_autoptr(GHashTable) held =
	    keys_held(db, (const char *const *)digests->pdata, digests->len, error);
	if (held == NULL)
		return FALSE;
	for (guint i = 0; i < report->items->len && i < digests->len; i++) {
		struct import_item *item = g_ptr_array_index(report->items, i);
		if (item->note == NULL && item->outcome != IMPORT_REJECTED &&
		    g_hash_table_contains(held, g_ptr_array_index(digests, i)))
			item->note = g_strdup("private key is held");
	}
	return TRUE;
}

/* Lists that came before their issuer may count from now on. */
static gboolean
has_new_issuers(const struct import_report *report)
{
	for (guint i = 0; i < report->items->len; i++) {
		const struct import_item *item = g_ptr_array_index(report->items, i);

		if (item->outcome == IMPORT_NEW &&
		    (item->kind == IMPORT_CA || item->kind == IMPORT_ROOT))
			return TRUE;
	}
	return FALSE;
}

struct import_report *
import_bytes(struct db *db, struct keyring *keyring, GBytes *bytes,
	     const struct import_options *options, GError **error)
{
	CLEANUP(bundle)
	struct bundle *bundle = bundle_read(bytes, options->name, options->password, error);
	if (bundle == NULL)
		return NULL;

	CLEANUP(import_report) struct import_report *report = g_new0(struct import_report, 1);
	report->items = g_ptr_array_new_with_free_func(import_item_free);
	g_autoptr(GPtrArray) items = g_ptr_array_new_with_free_func(import_item_free);
	CLEANUP(crl_loader) struct crl_loader *loader = crl_loader_new(db, NULL);
	guint objects = bundle->certs->len + bundle->keys->len;
	guint n = objects + bundle->crls->len, to;
	for (guint from = 0; from < n; from = to) {
		/* Lists one by one, when the certificates that they need can be seen by everybody.
		 */
		to = from < objects ? MIN(from + OBJECTS_AT_ONCE, objects) : from + 1;
		struct piece piece = {
			.db = db,
			.keyring = keyring,
			.loader = loader,
			.bundle = bundle,
			.options = options,
			.from = from,
			.to = to,
			.items = items,
		};
		if (!run_piece(&piece, report, error))
			return NULL;
	}
	if (has_new_issuers(report) && !crl_reexamine(loader, NULL, &to, error))
		return NULL;
	if (!note_keys(db, bundle, report, error))
		return NULL;
	for (guint i = 0; i < bundle->rejected->len; i++) {
		const struct bundle_rejected *rejected = g_ptr_array_index(bundle->rejected, i);
		struct import_item *item =
		    item_add(report->items, IMPORT_UNKNOWN, NULL, rejected->what);
		item->note = g_strdup(rejected->why);
		count_item(report, item);
	}
	return g_steal_pointer(&report);
}
