/*
 * canonical and wrap: clean bytes pass as they are, others become 7-bit without a change of
 * content; on samples and on every broken message of the corpus.
 */
#include <glib.h>

#include "milter/message/line_ends.h"
#include "milter/mime/canonical.h"
#include "milter/mime/leaf.h"
#include "milter/mime/wrap.h"
#include "tests/unit/milter/mime_sample.h"

static struct spool_area *area;

enum outcome { CLEAN, REWRITTEN, OPAQUE };

struct row {
	const char *name;
	const char *message;
	enum outcome outcome;
	const char *entity; /* NULL: not compared */
};

#define MULTI "Content-Type: multipart/mixed; boundary=b\r\n"
#define UE "\303\274"

static const struct row rows[] = {
	{ "clean text", "Subject: x\r\nContent-Type: text/plain\r\nTo: y\r\n\r\nhello\r\n", CLEAN,
	  "Content-Type: text/plain\r\n\r\nhello\r\n" },
	{ "no MIME fields get a type", "Subject: x\r\n\r\nhello\r\n", CLEAN,
	  "Content-Type: text/plain; charset=us-ascii\r\n\r\nhello\r\n" },
	{ "empty body", "Content-Type: text/plain\r\n\r\n", CLEAN,
	  "Content-Type: text/plain\r\n\r\n" },
	{ "body of only CRLFs", "Content-Type: text/plain\r\n\r\n\r\n\r\n\r\n", CLEAN,
	  "Content-Type: text/plain\r\n\r\n\r\n\r\n\r\n" },
	{ "leading dots", "Content-Type: text/plain\r\n\r\n.\r\n..\r\n.x\r\n", CLEAN,
	  "Content-Type: text/plain\r\n\r\n.\r\n..\r\n.x\r\n" },
	{ "trailing blanks stay", "Content-Type: text/plain\r\n\r\nx  \r\n\t\r\n", CLEAN,
	  "Content-Type: text/plain\r\n\r\nx  \r\n\t\r\n" },
	{ "folds stay", "Content-Type: text/plain;\r\n\tcharset=us-ascii\r\n\r\nx", CLEAN,
	  "Content-Type: text/plain;\r\n\tcharset=us-ascii\r\n\r\nx" },
	{ "the first of several types",
	  "Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx", CLEAN,
	  "Content-Type: text/plain\r\n\r\nx" },
	{ "epilogue goes", MULTI "\r\npre\r\n--b\r\n\r\nx\r\n--b--\r\nepilogue\r\n", CLEAN,
	  MULTI "\r\npre\r\n--b\r\n\r\nx\r\n--b--\r\n" },
	{ "8-bit epilogue goes", MULTI "\r\n--b\r\n\r\nx\r\n--b--\r\n" UE "\r\n", REWRITTEN,
	  MULTI "\r\n--b\r\n\r\nx\r\n--b--\r\n" },
	{ "8-bit preamble goes", MULTI "\r\n" UE "\r\n--b\r\n\r\nx\r\n--b--\r\n", REWRITTEN,
	  MULTI "\r\n--b\r\n\r\nx\r\n--b--\r\n" },
	{ "8-bit text",
	  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	  "a longer line " UE " = \r\n",
	  REWRITTEN,
	  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
	  "\r\n\r\na longer line =C3=BC =3D=20\r\n" },
	{ "8-bit text without any field", "Subject: x\r\n\r\nmany ASCII letters " UE "\r\n",
	  REWRITTEN,
	  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
	  "quoted-printable\r\n\r\nmany ASCII letters =C3=BC\r\n" },
	{ "mostly 8-bit text", "Content-Type: text/plain\r\n\r\n" UE UE UE, REWRITTEN,
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nw7zDvMO8\r\n" },
	{ "declared 8bit, but is not",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n", REWRITTEN,
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: 7bit\r\n\r\nx\r\n" },
	{ "binary attachment",
	  MULTI
	  "Content-Transfer-Encoding: binary\r\n\r\n--b\r\nContent-Type: image/x\r\n"
	  "Content-Transfer-Encoding: binary\r\n\r\n\200\201\r\n\r\n--b\r\n\r\ny\r\n--b--\r\n",
	  REWRITTEN,
	  MULTI
	  "Content-Transfer-Encoding: 7bit\r\n\r\n--b\r\nContent-Type: image/x\r\n"
	  "Content-Transfer-Encoding: base64\r\n\r\ngIENCg==\r\n\r\n--b\r\n\r\ny\r\n--b--\r\n" },
	{ "8-bit message inside",
	  MULTI "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b\r\nContent-Type: "
		"text/html\r\n\r\nsome more text here " UE "\r\n--b--\r\n",
	  REWRITTEN,
	  MULTI "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b\r\nContent-Type: "
		"text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
		"some more text here =C3=BC\r\n--b--\r\n" },
	{ "8-bit signed part inside",
	  MULTI "\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n" UE
		"\r\n--c\r\n\r\nsig\r\n--c--\r\n--b--\r\n",
	  OPAQUE, NULL },
	{ "clean signed part beside an 8-bit one",
	  MULTI "\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\nContent-"
		"Transfer-Encoding: 8bit\r\n\r\nx\r\n--c\r\n\r\nsig\r\n--c--\r\n\r\n--b\r\n\r\n"
		"some more text here " UE "\r\n--b--\r\n",
	  REWRITTEN,
	  MULTI "\r\n--b\r\nContent-Type: multipart/signed; boundary=c\r\n\r\n--c\r\nContent-"
		"Transfer-Encoding: 8bit\r\n\r\nx\r\n--c\r\n\r\nsig\r\n--c--\r\n\r\n--b\r\n"
		"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
		"some more text here =C3=BC\r\n--b--\r\n" },
	{ "8-bit file name",
	  MULTI "\r\n--b\r\nContent-Type: text/plain; name=\"" UE ".txt\"\r\n\r\nx\r\n--b--\r\n",
	  REWRITTEN,
	  MULTI "\r\n--b\r\nContent-Type: text/plain; name*=iso-8859-1''%FC.txt\r\n\r\nx\r\n"
		"--b--\r\n" },
	{ "8-bit description", "Content-Description: " UE "\r\nContent-Type: text/plain\r\n\r\nx",
	  REWRITTEN, "Content-Description: =?UTF-8?B?w7w=?=\r\nContent-Type: text/plain\r\n\r\nx" },
	{ "8-bit address in a message inside",
	  MULTI "\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: " UE
		"@b\r\n\r\nx\r\n--b--\r\n",
	  OPAQUE, NULL },
	{ "encoding that nobody knows",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uue\r\n\r\n" UE, OPAQUE, NULL },
	{ "quoted-printable with raw octets",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC" UE
	  " =\r\nx \r\n",
	  REWRITTEN,
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	  "=C3=BC=C3=BC =\r\nx \r\n" },
	{ "bare CR in text", "Content-Type: text/plain\r\n\r\na longer line \r x \r\n", REWRITTEN,
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	  "a longer line =0D x=20\r\n" },
	{ "From at the start of a line",
	  "Content-Type: text/plain\r\n\r\n" UE " and more text\r\nFrom here\r\nFriday\r\n",
	  REWRITTEN,
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	  "=C3=BC and more text\r\n=46rom here\r\nFriday\r\n" },
	{ "no boundary, clean", "Content-Type: multipart/mixed\r\n\r\nx\r\n", CLEAN,
	  "Content-Type: multipart/mixed\r\n\r\nx\r\n" },
	{ "no boundary, 8-bit", "Content-Type: multipart/mixed\r\n\r\n" UE "\r\n", OPAQUE, NULL },
};

static void
assert_canonical(const char *text, gsize length)
{
	gsize column = 0;

	for (gsize i = 0; i < length; i++) {
		g_assert_cmpuint((guchar)text[i], <, 128);
		g_assert_cmpuint((guchar)text[i], !=, 0);
		if (text[i] == '\n')
			g_assert_true(i > 0 && text[i - 1] == '\r');
		column = text[i] == '\n' ? 0 : column + 1;
		g_assert_cmpuint(column, <=, 999);
	}
}

static void
test_row(gconstpointer data)
{
	const struct row *row = data;
	struct sample sample;
	GError *error = NULL;
	CLEANUP(canonical) struct canonical *canonical = NULL;
	g_autofree char *entity = NULL;
	gsize length;

	sample_init(&sample, area, row->message, strlen(row->message));
	canonical = canonical_for_signing(sample.tree, area, &error);
	g_assert_no_error(error);
	g_assert_cmpint(canonical->rewritten, ==, row->outcome == REWRITTEN);
	g_assert_cmpint(canonical->needs_opaque, ==, row->outcome == OPAQUE);
	entity = spool_text(canonical->entity, &length);
	if (row->entity != NULL)
		g_assert_cmpstr(entity, ==, row->entity);
	if (row->outcome != OPAQUE)
		assert_canonical(entity, length);
	else
		g_assert_cmpstr(strstr(entity, "\r\n\r\n"), ==, strstr(row->message, "\r\n\r\n"));
	sample_clear(&sample);
}

/* --- long things --- */

static struct canonical *
canonical_of(const char *text, gsize length)
{
	struct sample sample;
	GError *error = NULL;
	struct canonical *canonical;

	sample_init(&sample, area, text, length);
	canonical = canonical_for_signing(sample.tree, area, &error);
	g_assert_no_error(error);
	sample_clear(&sample);
	return canonical;
}

static void
test_long_line(void)
{
	for (guint length = 998; length <= 999; length++) {
		g_autofree char *line = g_strnfill(length, 'x');
		g_autofree char *text = g_strconcat("A: b\r\n\r\n", line, "\r\n", NULL);
		CLEANUP(canonical)
		struct canonical *canonical = canonical_of(text, strlen(text));
		g_autofree char *entity = spool_text(canonical->entity, NULL);

		g_assert_cmpint(canonical->rewritten, ==, length > 998);
		assert_canonical(entity, strlen(entity));
		g_assert_cmpint(strstr(entity, line) != NULL, ==, length <= 998);
	}
}

/* 30 MB pass without being copied. */
static void
test_large(void)
{
	CLEANUP(spool_area) struct spool_area *large = spool_area_new_memory(32000000);
	CLEANUP(spool) struct spool *body = spool_new(large);
	CLEANUP(headers) struct headers *headers = headers_new();
	CLEANUP(mime_tree) struct mime_tree *tree = NULL;
	CLEANUP(canonical) struct canonical *canonical = NULL;
	GError *error = NULL;
	char line[79];

	memset(line, 'x', 76);
	memcpy(line + 76, "\r\n", 3);
	for (int i = 0; i < 30000000 / 78; i++)
		g_assert_true(spool_append(body, line, 78, &error));
	g_assert_true(spool_seal(body, &error));
	tree = scan_message(headers, body, 0, spool_size(body), &error);
	canonical = canonical_for_signing(tree, large, &error);
	g_assert_no_error(error);
	g_assert_false(canonical->rewritten || canonical->needs_opaque);
	g_assert_cmpuint(spool_size(canonical->entity), >, spool_size(body));
	g_assert_cmpuint(spool_area_used(large), <, spool_size(body) + 1000);
}

/* --- the corpus --- */

static void
collect(const char *dir, GPtrArray *files)
{
	g_autoptr(GDir) open = g_dir_open(dir, 0, NULL);
	const char *name;

	while (open != NULL && (name = g_dir_read_name(open)) != NULL) {
		char *path = g_build_filename(dir, name, NULL);

		if (g_file_test(path, G_FILE_TEST_IS_DIR)) {
			collect(path, files);
			g_free(path);
		} else {
			g_ptr_array_add(files, path);
		}
	}
}

/* Types and decoded contents of all leaves. */
static void
contents(const struct mime_tree *tree, const struct part *part, gboolean inner, GChecksum *sum)
{
	CLEANUP(spool) struct spool *spool = NULL;
	GError *error = NULL;
	g_autofree char *text = NULL;
	gsize length;

	g_checksum_update(sum, (const guchar *)part->type, -1);
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		contents(tree, part->children->pdata[i], TRUE, sum);
	if (part->kind != PART_LEAF)
		return;
	spool = spool_new(area);
	g_assert_true(leaf_write(tree, part, spool_sink(spool), &error));
	g_assert_true(spool_seal(spool, &error));
	text = spool_text(spool, &length);
	/* what a decoder of base64 leaves out or a text gains at its end is not content */
	while (length > 0 && strchr("\r\n", text[length - 1]) != NULL)
		length--;
	(void)inner;
	g_checksum_update(sum, (const guchar *)text, (gssize)length);
	g_checksum_update(sum, (const guchar *)"|", 1);
}

static char *
contents_of(const struct mime_tree *tree)
{
	GChecksum *sum = g_checksum_new(G_CHECKSUM_SHA256);
	char *text;

	contents(tree, tree->root, FALSE, sum);
	text = g_strdup(g_checksum_get_string(sum));
	g_checksum_free(sum);
	return text;
}

static void
check_file(const char *path, guint counts[3], guint *malformed, guint *differ)
{
	CLEANUP(spool) struct spool *spool = spool_new(area);
	g_autofree char *raw = NULL;
	g_autofree char *text = NULL;
	g_autofree char *entity = NULL;
	gsize length, entity_length;
	struct line_ends line_ends;
	struct sample before;
	GError *error = NULL;
	CLEANUP(canonical) struct canonical *canonical = NULL;

	g_assert_true(g_file_get_contents(path, &raw, &length, NULL));
	line_ends_init(&line_ends, spool_sink(spool));
	g_assert_true(sink_write(&line_ends.sink, raw, length, &error));
	g_assert_true(spool_seal(spool, &error));
	text = spool_text(spool, &length);
	sample_init(&before, area, text, length);
	canonical = canonical_for_signing(before.tree, area, &error);
	g_assert_no_error(error);
	entity = spool_text(canonical->entity, &entity_length);
	*malformed += before.tree->malformed != NULL;
	counts[canonical->needs_opaque ? OPAQUE : canonical->rewritten ? REWRITTEN : CLEAN]++;
	if (!canonical->needs_opaque)
		assert_canonical(entity, entity_length);
	if (!canonical->rewritten) { /* the body is there byte for byte, but for an epilogue */
		const struct part *root = before.tree->root;
		gsize body = length - before.body;
		gsize head;

		if (root->kind == PART_MULTIPART && root->closed && !canonical->needs_opaque)
			body = MIN(body, root->epilogue_start - before.body);
		g_assert_cmpuint(entity_length, >=, body);
		head = entity_length - body;
		if (strcmp(root->type, "multipart/signed") != 0)
			g_assert_cmpmem(entity + head, body, text + before.body, body);
	} else {
		struct sample after;
		g_autofree char *content_before = contents_of(before.tree);
		g_autofree char *content_after = NULL;

		sample_init(&after, area, entity, entity_length);
		content_after = contents_of(after.tree);
		if (strcmp(content_before, content_after) != 0)
			g_test_message("%s", path);
		g_assert_cmpstr(content_after, ==, content_before);
		sample_clear(&after);
	}
	if (before.tree->malformed == NULL) {
		g_assert_true(scan_cross_check(before.tree, &error));
		if (before.tree->malformed != NULL) {
			g_test_message("%s: %s", path, before.tree->malformed);
			(*differ)++;
		}
	}
	sample_clear(&before);
}

static void
test_corpus(void)
{
	const char *data = g_getenv("PS_DATA");
	const char *top = g_getenv("top_srcdir");
	g_autofree char *root =
	    data != NULL ? g_strdup(data)
			 : g_build_filename(top != NULL ? top : ".", "..", "shared", "data", NULL);
	g_autofree char *dir = g_build_filename(root, "mime-torture", NULL);
	g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(g_free);
	guint counts[3] = { 0 };
	guint malformed = 0;
	guint differ = 0;

	collect(dir, files);
	if (files->len == 0) {
		g_test_skip("no mime-torture folder");
		return;
	}
	for (guint i = 0; i < files->len; i++)
		check_file(files->pdata[i], counts, &malformed, &differ);
	g_test_message(
	    "%u files: %u clean, %u rewritten, %u opaque; %u malformed, %u seen differently",
	    files->len, counts[CLEAN], counts[REWRITTEN], counts[OPAQUE], malformed, differ);
}

/* --- wrapping --- */

static char *
edited_of(const struct wrapped *wrapped, const char *header)
{
	g_autofree char *text = g_strconcat(header, "\r\n", NULL);
	struct sample sample;
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(spool) struct spool *out = spool_new(area);
	GError *error = NULL;

	sample_init(&sample, area, text, strlen(text));
	wrapped_edit(wrapped, sample.headers, edits);
	g_assert_true(
	    edits_apply_to_message(edits, sample.headers, sample.spool, spool_sink(out), &error));
	g_assert_true(spool_seal(out, &error));
	sample_clear(&sample);
	return spool_text(out, NULL);
}

static void
test_clear_signed(void)
{
	static const char entity_text[] = "Content-Type: text/plain\r\n\r\nhello\r\n";
	CLEANUP(spool)
	struct spool *entity = spool_from_bytes(area, entity_text, sizeof entity_text - 1, NULL);
	g_autoptr(GBytes) signature = g_bytes_new_static("signature", 9);
	GError *error = NULL;
	CLEANUP(wrapped)
	struct wrapped *wrapped = wrap_clear_signed(area, entity, signature, "sha384", &error);
	g_autofree char *text = NULL;
	struct sample sample;

	g_assert_no_error(error);
	text = edited_of(wrapped, "Subject: x\r\nContent-Type: a/b\r\nMime-Version: 1\r\ncontent-"
				  "type: c/d\r\nContent-Transfer-Encoding: 8bit\r\n"
				  "Content-Language: de\r\nTo: y\r\nMIME-Version: 1.0\r\n");
	sample_init(&sample, area, text, strlen(text));
	g_assert_cmpuint(headers_count(sample.headers), ==, 4);
	g_assert_cmpstr(headers_value(sample.headers, "MIME-Version"), ==, " 1.0");
	g_assert_cmpstr(sample.tree->root->type, ==, "multipart/signed");
	g_assert_cmpstr(part_parameter(sample.tree->root, "micalg"), ==, "sha-384");
	g_assert_cmpstr(part_parameter(sample.tree->root, "protocol"), ==,
			"application/pkcs7-signature");
	g_assert_cmpuint(sample.tree->part_count, ==, 3);
	struct part *first = sample.tree->root->children->pdata[0];
	struct part *second = sample.tree->root->children->pdata[1];
	g_assert_cmpmem(text + first->start, first->end - first->start, entity_text,
			sizeof entity_text - 1);
	g_assert_cmpstr(second->type, ==, "application/pkcs7-signature");
	assert_canonical(text, strlen(text));
	sample_clear(&sample);

	CLEANUP(spool) struct spool *again = wrapped_entity(wrapped, &error);
	g_autofree char *inner = spool_text(again, NULL);
	g_assert_true(g_str_has_prefix(inner, "Content-Type: multipart/signed;"));
	sample_init(&sample, area, inner, strlen(inner));
	g_assert_cmpuint(sample.tree->part_count, ==, 3);
	sample_clear(&sample);
}

static void
test_cms(void)
{
	CLEANUP(wrap_cms) struct wrap_cms *wrap = wrap_cms_new(area, WRAP_AUTH_ENVELOPED_DATA);
	CLEANUP(wrapped) struct wrapped *wrapped = NULL;
	GError *error = NULL;
	g_autofree char *text = NULL;

	g_assert_true(sink_write(wrap_cms_sink(wrap), "abcdef", 6, &error));
	wrapped = wrap_cms_finish(wrap, &error);
	g_assert_no_error(error);
	text = edited_of(wrapped, "Subject: x\r\n");
	g_assert_cmpstr(text, ==,
			"Subject: x\r\nMIME-Version: 1.0\r\n"
			"Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data;\r\n"
			" name=\"smime.p7m\"\r\nContent-Transfer-Encoding: base64\r\n"
			"Content-Disposition: attachment; filename=\"smime.p7m\"\r\n\r\n"
			"YWJjZGVm\r\n");
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	area = spool_area_new_memory(1000000000);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *path = g_strdup_printf("/canonical/%s", rows[i].name);

		g_test_add_data_func(path, &rows[i], test_row);
	}
	g_test_add_func("/canonical/lines of 998 and 999 octets", test_long_line);
	g_test_add_func("/canonical/30 MB are not copied", test_large);
	g_test_add_func("/canonical/the corpus", test_corpus);
	g_test_add_func("/wrap/clear signed", test_clear_signed);
	g_test_add_func("/wrap/one object", test_cms);
	status = g_test_run();
	spool_area_unref(area);
	return status;
}
