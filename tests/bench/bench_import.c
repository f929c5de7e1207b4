/*
 * bench_import - P8: bulk import against COPY BINARY of the same rows, in turns, slice by slice.
 *
 * COPY goes into tables of the same columns, indexes and foreign key in another schema, so that
 * both grow alike; its rows are ready in memory, the import's input is PEM.
 */
#include "tests/bench/bench_store.h"

#include <openssl/evp.h>
#include <string.h>

#include "pki/crypto/cert_scan.h"
#include "pki/crypto/cert.h"
#include "pki/import.h"
#include "pki/import_bulk.h"
#include "store/certs.h"
#include "store/db/copy.h"
#include "store/db/query.h"
#include "store/db/tx.h"
#include "tests/support/scratch_pg.h"

#define SLICE_MAX 50000
#define MAKERS 2

/* --- a slice: the same certificates as PEM and as rows --- */

struct slice {
	const struct store_sample *sample;
	guint first, count;
	GBytes **ders;
	GPtrArray *rows; /* struct cert_row */
	GByteArray *pem;
};

struct share {
	struct slice *slice;
	guint part;
};

static gpointer
make_share(gpointer data)
{
	struct share *share = data;
	struct slice *slice = share->slice;

	for (guint i = share->part; i < slice->count; i += MAKERS)
		slice->ders[i] = store_sample_cert(slice->sample, slice->first + i);
	return NULL;
}

void
bench_put_pem(GByteArray *pem, GBytes *der)
{
	static const char begin[] = "-----BEGIN CERTIFICATE-----\n";
	static const char end[] = "-----END CERTIFICATE-----\n";
	gsize length;
	const guint8 *bytes = g_bytes_get_data(der, &length);
	guchar line[66];

	g_byte_array_append(pem, (const guint8 *)begin, sizeof begin - 1);
	for (gsize at = 0; at < length; at += 48) {
		int n = EVP_EncodeBlock(line, bytes + at, (int)MIN(48, length - at));

		line[n] = '\n';
		g_byte_array_append(pem, line, (guint)n + 1);
	}
	g_byte_array_append(pem, (const guint8 *)end, sizeof end - 1);
}

static struct cert_row *
row_of(struct cert_scanner *scanner, GBytes *der)
{
	struct cert_row *row = cert_scan(scanner, der);

	if (row != NULL)
		return row;
	CLEANUP(cert) struct cert *cert = cert_parse(der, NULL);
	return cert_row_from(cert);
}

static void
slice_make(struct slice *slice, const struct store_sample *sample, guint first, guint count)
{
	CLEANUP(cert_scanner) struct cert_scanner *scanner = cert_scanner_new();
	GThread *makers[MAKERS];
	struct share shares[MAKERS];

	*slice = (struct slice){ .sample = sample, .first = first, .count = count };
	slice->ders = g_new0(GBytes *, count);
	slice->rows = g_ptr_array_new_with_free_func((GDestroyNotify)cert_row_free);
	slice->pem = g_byte_array_new();
	for (guint i = 0; i < MAKERS; i++) {
		shares[i] = (struct share){ slice, i };
		makers[i] = g_thread_new("make", make_share, &shares[i]);
	}
	for (guint i = 0; i < MAKERS; i++)
		g_thread_join(makers[i]);
	for (guint i = 0; i < count; i++) {
		g_ptr_array_add(slice->rows, row_of(scanner, slice->ders[i]));
		bench_put_pem(slice->pem, slice->ders[i]);
		g_bytes_unref(slice->ders[i]);
	}
	g_free(slice->ders);
}

static void
slice_clear(struct slice *slice)
{
	g_ptr_array_unref(slice->rows);
	g_byte_array_unref(slice->pem);
}

/* --- plain COPY --- */

static void
copy_cert(struct copy *copy, gint64 id, const struct cert_row *row)
{
	gsize length;
	gconstpointer der = g_bytes_get_data(row->der, &length);

	copy_row(copy);
	copy_int(copy, id);
	copy_text(copy, row->thumbprint);
	copy_bytes(copy, der, length);
	copy_text(copy, row->subject);
	copy_text(copy, row->issuer);
	copy_text(copy, row->subject_key);
	copy_text(copy, row->issuer_key);
	copy_text(copy, row->serial);
	copy_time(copy, row->not_before);
	copy_time(copy, row->not_after);
	copy_text(copy, row->spki_sha256);
	copy_text(copy, row->ski);
	copy_text(copy, row->aki);
	copy_bool(copy, row->is_ca);
	copy_bool(copy, row->self_signed);
	copy_text(copy, row->key_kind);
	copy_int4(copy, row->key_bits);
	copy_text(copy, "import");
	copy_text(copy, "slice.pem");
}

static gboolean
plain_copy(struct tx *tx, gpointer data, GError **error)
{
	const struct slice *slice = data;
	struct copy *copy = tx_copy_in(
	    tx,
	    "COPY plain.certificate (id, thumbprint, der, subject, issuer, subject_key,"
	    " issuer_key, serial, not_before, not_after, spki_sha256, ski, aki, is_ca,"
	    " self_signed, key_kind, key_bits, origin, origin_detail) FROM STDIN (FORMAT binary)",
	    19, error);

	if (copy == NULL)
		return FALSE;
	for (guint i = 0; i < slice->count; i++)
		copy_cert(copy, slice->first + i + 1, g_ptr_array_index(slice->rows, i));
	if (!copy_end(copy, NULL, error))
		return FALSE;
	copy = tx_copy_in(tx,
			  "COPY plain.certificate_email (email, certificate_id) FROM STDIN"
			  " (FORMAT binary)",
			  2, error);
	if (copy == NULL)
		return FALSE;
	for (guint i = 0; i < slice->count; i++) {
		const struct cert_row *row = g_ptr_array_index(slice->rows, i);

		for (char **email = row->emails; *email != NULL; email++) {
			copy_row(copy);
			copy_text(copy, *email);
			copy_int(copy, slice->first + i + 1);
		}
	}
	return copy_end(copy, NULL, error);
}

/* --- our import --- */

static void
count_new(const char *file, const struct import_item *item, gpointer data)
{
	guint *added = data;

	if (item->outcome == IMPORT_REJECTED)
		g_error("%s: %s", file, item->note);
	*added += item->outcome == IMPORT_NEW ? 1 : 0;
}

static guint
import_slice(const struct bench *bench, const struct slice *slice)
{
	const struct import_options options = { .origin = "import" };
	g_autoptr(GError) error = NULL;
	guint added = 0;
	CLEANUP(import_bulk)
	struct import_bulk *bulk = import_bulk_new(bench->db, &options, count_new, &added);
	g_autoptr(GBytes) bytes = g_bytes_new_static(slice->pem->data, slice->pem->len);

	if (!import_bulk_fits(bytes) || !import_bulk_add(bulk, bytes, "slice.pem", &error) ||
	    !import_bulk_finish(bulk, &error))
		g_error("import: %s", error != NULL ? error->message : "does not fit");
	return added;
}

/* --- in turns --- */

static const char plain_tables[] =
    "CREATE SCHEMA plain;"
    "CREATE TABLE plain.certificate (LIKE public.certificate INCLUDING ALL);"
    "CREATE TABLE plain.certificate_email (LIKE public.certificate_email INCLUDING ALL,"
    " FOREIGN KEY (certificate_id) REFERENCES plain.certificate ON DELETE CASCADE);"
    "ALTER TABLE plain.certificate SET (toast_tuple_target = 4080);"
    "GRANT ALL ON SCHEMA plain TO postseal_daemon;"
    "GRANT ALL ON ALL TABLES IN SCHEMA plain TO postseal_daemon";

struct times {
	double copy, import;
};

static void
one_slice(struct bench *bench, guint first, guint count, struct times *total)
{
	g_autoptr(GError) error = NULL;
	struct slice slice;

	slice_make(&slice, bench->sample, first, count);
	for (guint turn = 0; turn < 2; turn++) {
		gboolean is_copy = (turn == 0) == (first / SLICE_MAX % 2 == 0);

		scratch_pg_sql(bench->pg, "CHECKPOINT");
		double start = bench_seconds();
		if (is_copy) {
			if (!db_transaction(bench->db, plain_copy, &slice, &error))
				g_error("%s", error->message);
			total->copy += bench_seconds() - start;
		} else {
			if (import_slice(bench, &slice) != count)
				g_error("not all of the sample was new");
			total->import += bench_seconds() - start;
		}
	}
	slice_clear(&slice);
}

/* Of the real tables, with all indexes. */
static void
size_rows(const struct bench *bench)
{
	static const struct statement sizes = {
		"bench_sizes",
		"SELECT pg_total_relation_size('certificate') + "
		"pg_total_relation_size('certificate_email'),"
		" pg_indexes_size('certificate') + pg_indexes_size('certificate_email')",
	};
	g_autoptr(GError) error = NULL;
	CLEANUP(rows) struct rows *rows = db_query(bench->db, &sizes, NULL, &error);

	if (rows == NULL)
		g_error("%s", error->message);
	bench_row("store_size", (double)rows_int(rows, 0, 0) / bench->certs, "bytes a certificate");
	bench_row("store_indexes", (double)rows_int(rows, 0, 1) / bench->certs,
		  "of these in indexes");
}

void
bench_import(struct bench *bench)
{
	struct times total = { 0, 0 };

	scratch_pg_sql(bench->pg, plain_tables);
	for (guint first = 0; first < bench->certs; first += SLICE_MAX) {
		struct times before = total;
		guint count = MIN(SLICE_MAX, bench->certs - first);

		one_slice(bench, first, count, &total);
		g_printerr("%u: COPY %.0f/s, import %.0f/s, ratio %.2f\n", first + count,
			   count / (total.copy - before.copy),
			   count / (total.import - before.import),
			   (total.copy - before.copy) / (total.import - before.import));
	}
	bench_row("copy_rate", bench->certs / total.copy, "certificates/s");
	bench_row("import_rate", bench->certs / total.import, "certificates/s");
	bench_row("import_ratio", total.copy / total.import, "of COPY");
	size_rows(bench);
	scratch_pg_sql(bench->pg, "DROP SCHEMA plain CASCADE");
}
