/*
 * reading: every nesting says who signed and gives the right content; what fails after a key was
 * used fails in one way; limits hold; labels do not matter.
 */
#include <string.h>

#include "milter/file_message.h"
#include "pki/crypto/tlv.h"
#include "reading_fixture.h"
#include "store/base/error.h"

static struct people *people;

/* --- nesting --- */

struct nesting_row {
	const char *layers;
	enum mail_verdict verdict;
	gboolean opened, bare, unauthenticated;
	const char *opened_has; /* what the opened entity begins with, of its type */
};

static const struct nesting_row nestings[] = {
	{ "", MAIL_UNSIGNED, FALSE, FALSE, FALSE, NULL },
	{ "s", MAIL_VALID, FALSE, TRUE, FALSE, NULL },
	{ "o", MAIL_VALID, FALSE, TRUE, FALSE, NULL },
	{ "ss", MAIL_VALID, FALSE, TRUE, FALSE, NULL },
	{ "so", MAIL_VALID, FALSE, TRUE, FALSE, NULL },
	{ "os", MAIL_VALID, FALSE, TRUE, FALSE, NULL },
	{ "e", MAIL_UNSIGNED, TRUE, FALSE, TRUE, "text/plain" },
	{ "g", MAIL_UNSIGNED, TRUE, FALSE, FALSE, "text/plain" },
	{ "se", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "sg", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "oe", MAIL_VALID, TRUE, TRUE, FALSE, "application/pkcs7-mime" },
	{ "og", MAIL_VALID, TRUE, TRUE, FALSE, "application/pkcs7-mime" },
	{ "ose", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "es", MAIL_VALID, TRUE, FALSE, TRUE, "text/plain" },
	{ "eo", MAIL_VALID, TRUE, FALSE, TRUE, "text/plain" },
	{ "gs", MAIL_VALID, TRUE, FALSE, FALSE, "text/plain" },
	{ "ses", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "oeo", MAIL_VALID, TRUE, TRUE, FALSE, "application/pkcs7-mime" },
	{ "sgs", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "ee", MAIL_UNSIGNED, TRUE, FALSE, TRUE, "text/plain" },
	{ "eg", MAIL_UNSIGNED, TRUE, FALSE, TRUE, "text/plain" },
	{ "ge", MAIL_UNSIGNED, TRUE, FALSE, TRUE, "text/plain" },
	{ "seg", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "z", MAIL_UNSIGNED, FALSE, FALSE, FALSE, NULL },
	{ "zs", MAIL_VALID, FALSE, TRUE, FALSE, NULL },
	{ "sz", MAIL_VALID, FALSE, TRUE, FALSE, NULL },
	{ "ze", MAIL_UNSIGNED, TRUE, FALSE, TRUE, "text/plain" },
	{ "zg", MAIL_UNSIGNED, TRUE, FALSE, FALSE, "text/plain" },
	{ "ez", MAIL_UNSIGNED, TRUE, FALSE, TRUE, "text/plain" },
	{ "sze", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "zse", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "sezs", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
	{ "seseso", MAIL_VALID, TRUE, TRUE, FALSE, "multipart/signed" },
};

static void
assert_ends(const struct entity *entity, const char *type)
{
	g_autofree char *text = entity_text(people, entity);

	g_assert_nonnull(strstr(headers_value(entity->headers, "Content-Type"), type));
	if (strcmp(type, "text/plain") == 0)
		g_assert_true(g_str_has_suffix(text, "\r\n\r\nhello, bob\r\n"));
}

static void
test_nesting(gconstpointer data)
{
	const struct nesting_row *row = data;
	CLEANUP(spool) struct spool *message = mail_nested(people, FROM_ALICE TEXT, row->layers);
	CLEANUP(reading) struct reading *reading = people_read(people, message);

	g_test_message("%s; %s", reading->reason, reading->detail);
	g_assert_cmpint(reading->verdict, ==, row->verdict);
	g_assert_cmpint(reading->closed, ==, READING_OPEN);
	g_assert_cmpint(reading->opened != NULL, ==, row->opened);
	g_assert_cmpint(reading->decrypted, ==, row->opened);
	g_assert_cmpint(reading->bare != NULL, ==, row->bare);
	g_assert_cmpint(reading->unauthenticated, ==, row->unauthenticated);
	g_assert_cmpint(reading->is_signed, ==,
			strchr(row->layers, 's') != NULL || strchr(row->layers, 'o') != NULL);
	g_assert_cmpuint(reading->layers->len, ==, strlen(row->layers));
	if (row->opened)
		assert_ends(reading->opened, row->opened_has);
	if (row->bare)
		assert_ends(reading->bare, "text/plain");
}

/* --- closed --- */

static GArray *
nobodys_keys(gpointer data, const struct cms_info *info, GError **error)
{
	(void)data;
	(void)info;
	return fail(error, PS_ERROR_NOT_FOUND, "not for anybody here");
}

static GArray *
lost_keys(gpointer data, const struct cms_info *info, GError **error)
{
	(void)data;
	(void)info;
	return fail(error, PS_ERROR_TEMPORARY, "the database is away");
}

static void
test_no_key(void)
{
	CLEANUP(spool) struct spool *plain = mail_of(people, FROM_ALICE TEXT);
	CLEANUP(spool)
	struct spool *message = mail_encrypted(people, &people->eve, plain, "aes-256-cbc");
	CLEANUP(spool)
	struct spool *over = mail_encrypted(people, &people->bob, message, "aes-256-gcm");
	CLEANUP(reading) struct reading *reading = people_read(people, message);
	CLEANUP(reading) struct reading *inner = people_read(people, over);
	struct reading_options options = people_options(people);
	CLEANUP(reading) struct reading *none = NULL;
	CLEANUP(reading) struct reading *lost = NULL;

	g_assert_cmpint(reading->closed, ==, READING_NO_KEY);
	g_assert_cmpint(reading->verdict, ==, MAIL_UNDECRYPTABLE);
	g_assert_null(reading->opened);
	/* The outer one was for Bob: he gets what was in it. */
	g_assert_cmpint(inner->closed, ==, READING_OPEN);
	g_assert_cmpint(inner->verdict, ==, MAIL_UNDECRYPTABLE);
	g_assert_nonnull(inner->opened);
	options.keys = nobodys_keys;
	none = people_read_with(people, message, &options);
	g_assert_cmpint(none->closed, ==, READING_NO_KEY);
	g_assert_cmpstr(none->reason, ==, "not for anybody here");
	g_assert_false(none->unknown);
	options.keys = lost_keys;
	lost = people_read_with(people, message, &options);
	g_assert_true(lost->unknown);
	g_assert_null(lost->opened);
}

/* All that somebody who does not see the log can tell. */
static char *
face(const struct reading *reading)
{
	GString *text = g_string_new(NULL);

	g_string_printf(text, "%d %d %d %d %d %d %d %s|", reading->is_signed, reading->is_encrypted,
			reading->decrypted, reading->unauthenticated, reading->unknown,
			(int)reading->closed, (int)reading->verdict, reading->reason);
	for (guint i = 0; i < reading->layers->len; i++) {
		const struct reading_layer *layer = reading->layers->pdata[i];

		g_string_append_printf(text, "%d %d %d %s %u|", (int)layer->type, layer->opened,
				       layer->authenticated, layer->content_type,
				       layer->recipients->len);
	}
	g_string_append_printf(text, "%u %u %u %d %d %d", reading->signers->len,
			       reading->parts->len, reading->certs->len, reading->opened != NULL,
			       reading->bare != NULL, reading->signed_content != NULL);
	return g_string_free(text, FALSE);
}

static struct spool *
of_bytes(const GByteArray *object)
{
	g_autoptr(GBytes) bytes = g_bytes_new(object->data, object->len);

	return mail_of_object(people, bytes, NULL);
}

/* The encryptedKey of the only recipientInfo: the last 256 bytes before the content's head. */
static void
damage_key(GByteArray *object)
{
	for (gsize i = 0; i + 4 + 256 < object->len; i++) {
		if (memcmp(object->data + i, "\x04\x82\x01\x00", 4) == 0) {
			object->data[i + 4 + 100] ^= 0x40;
			return;
		}
	}
	g_assert_not_reached();
}

static void
damage_end(GByteArray *object) /* of the content or the tag, whatever comes last */
{
	object->data[object->len - 3] ^= 1;
}

static void
damage_middle(GByteArray *object) /* of a long content: joints */
{
	object->data[object->len - 400] ^= 1;
}

static void
cut_short(GByteArray *object)
{
	g_byte_array_set_size(object, object->len - 40);
}

static void
leave(GByteArray *object)
{
	(void)object;
}

static const char long_text[] =
    FROM_ALICE "Content-Type: text/plain\r\n\r\n"
	       "0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	       "0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	       "0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	       "0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	       "0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	       "0123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	       "0123456789012345678901234567890123456789012345678901234567890123456789\r\n";
static const char binary_text[] =
    FROM_ALICE "Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
	       "<p>\377\200</p>\r\n";

struct failure_row {
	const char *name;
	const char *text;
	const char *cipher;
	void (*damage)(GByteArray *object);
	const char *detail; /* of the log, a part of it */
};

static const struct failure_row failures[] = {
	{ "CBC: key", long_text, "aes-256-cbc", damage_key, "" },
	{ "CBC: padding", long_text, "aes-256-cbc", damage_end, "" },
	{ "CBC: joint", long_text, "aes-256-cbc", damage_middle, "7bit text" },
	{ "CBC: cut off", long_text, "aes-256-cbc", cut_short, "" },
	{ "CBC: not what its encoding says", binary_text, "aes-128-cbc", leave, "charset" },
	{ "GCM: key", long_text, "aes-256-gcm", damage_key, "" },
	{ "GCM: tag", long_text, "aes-256-gcm", damage_end, "tag" },
	{ "GCM: content", long_text, "aes-128-gcm", damage_middle, "tag" },
	{ "GCM: cut off", long_text, "aes-128-gcm", cut_short, "" },
};

static struct reading *
read_failure(const struct failure_row *row)
{
	CLEANUP(spool) struct spool *plain = mail_of(people, row->text);
	CLEANUP(spool)
	struct spool *message = mail_encrypted(people, &people->bob, plain, row->cipher);
	g_autoptr(GByteArray) object = mail_object(people, message);
	CLEANUP(spool) struct spool *damaged = NULL;

	row->damage(object);
	damaged = of_bytes(object);
	return people_read(people, damaged);
}

static void
test_uniform(void)
{
	char *first[2] = { NULL, NULL }; /* the type of the object is seen by everybody */

	for (gsize i = 0; i < G_N_ELEMENTS(failures); i++) {
		CLEANUP(reading) struct reading *reading = read_failure(&failures[i]);
		gsize kind = strstr(failures[i].cipher, "gcm") != NULL;
		g_autofree char *seen = face(reading);

		g_test_message("%s: %s; %s", failures[i].name, seen, reading->detail);
		g_assert_cmpint(reading->closed, ==, READING_FAILED);
		g_assert_nonnull(reading->detail);
		g_assert_nonnull(strstr(reading->detail, failures[i].detail));
		g_assert_null(reading->opened);
		if (first[kind] == NULL)
			first[kind] = g_steal_pointer(&seen);
		else
			g_assert_cmpstr(seen, ==, first[kind]);
	}
	g_free(first[0]);
	g_free(first[1]);
}

/* Inside of an encryption nothing is told apart either: a bad inner key, too many layers, a part
 * that breaks a limit. */
static void
test_uniform_inside(void)
{
	static const char *const inside[] = { "eeeeeee", "ggggggg", "ezzzzzz" };
	g_autofree char *first = NULL;

	for (gsize i = 0; i < G_N_ELEMENTS(inside); i++) {
		CLEANUP(spool) struct spool *deep = mail_nested(people, FROM_ALICE TEXT, inside[i]);
		CLEANUP(spool)
		struct spool *message = mail_encrypted(people, &people->bob, deep, "aes-128-gcm");
		CLEANUP(reading) struct reading *reading = people_read(people, message);
		g_autofree char *seen = face(reading);

		g_test_message("%s; %s", seen, reading->detail);
		g_assert_cmpint(reading->closed, ==, READING_FAILED);
		if (first == NULL)
			first = g_steal_pointer(&seen);
		else
			g_assert_cmpstr(seen, ==, first);
	}
}

/* --- tags, types, bits --- */

/* Every byte of the object: what comes out is the message or nothing; from CBC it may be another
 * text, but then nobody vouches for it and it is what its encoding says. */
static void
test_flipped(gconstpointer data)
{
	const char *cipher = data;
	gboolean gcm = strstr(cipher, "gcm") != NULL;
	CLEANUP(spool) struct spool *plain = mail_of(people, FROM_ALICE TEXT);
	CLEANUP(spool) struct spool *message = mail_encrypted(people, &people->bob, plain, cipher);
	CLEANUP(reading) struct reading *whole = people_read(people, message);
	g_autofree char *right = entity_text(people, whole->opened);
	g_autoptr(GByteArray) object = mail_object(people, message);
	guint same = 0;

	for (guint i = 0; i < object->len; i++) {
		CLEANUP(spool) struct spool *flipped = NULL;
		CLEANUP(reading) struct reading *reading = NULL;

		object->data[i] ^= (guint8)(1u << (i % 8));
		flipped = of_bytes(object);
		object->data[i] ^= (guint8)(1u << (i % 8));
		reading = people_read(people, flipped);
		g_assert_false(reading->opened != NULL && reading->closed != READING_OPEN);
		if (reading->opened != NULL) {
			g_autofree char *text = entity_text(people, reading->opened);

			same += strcmp(text, right) == 0;
			g_assert_true(strcmp(text, right) == 0 || !gcm);
			g_assert_true(gcm || reading->unauthenticated);
		}
	}
	/* Only what nobody needs: a version number, the label of the content's type. */
	g_assert_cmpuint(same, <, 40);
}

/* GCMParameters with that ICVlen (0xff: none) and a tag of that length. */
static struct spool *
with_tag(guint8 announced, guint8 length)
{
	CLEANUP(spool) struct spool *plain = mail_of(people, FROM_ALICE TEXT);
	CLEANUP(spool)
	struct spool *message = mail_encrypted(people, &people->bob, plain, "aes-256-gcm");
	g_autoptr(GByteArray) object = mail_object(people, message);
	guint tag = object->len - 16;
	gboolean found = FALSE;

	/* The last thing in the object is the tag, unless unprotected attributes follow; with
	 * indefinite lengths outside the end marks stand behind it. */
	while (object->data[tag - 1] != 16 || object->data[tag - 2] != 4)
		tag--;
	object->data[tag - 1] = length;
	g_byte_array_remove_range(object, tag + length, 16u - length);
	for (guint i = 0; i + 3 < object->len && !found; i++) {
		if (memcmp(object->data + i, "\x02\x01\x10", 3) == 0 && object->data[i - 14] == 4) {
			object->data[i + 2] = announced;
			found = TRUE;
		}
	}
	g_assert_true(found);
	return of_bytes(object);
}

static void
test_tags(void)
{
	static const guint8 lengths[] = { 0, 1, 4, 8, 11, 12, 13, 15, 16 };

	for (gsize a = 0; a < G_N_ELEMENTS(lengths); a++) {
		for (gsize l = 0; l < G_N_ELEMENTS(lengths); l++) {
			CLEANUP(spool) struct spool *message = with_tag(lengths[a], lengths[l]);
			CLEANUP(reading) struct reading *reading = people_read(people, message);
			gboolean good = lengths[a] == 16 && lengths[l] == 16;

			g_assert_cmpint(reading->opened != NULL, ==, good);
			g_assert_cmpint(reading->closed, ==,
					good               ? READING_OPEN
					: lengths[a] != 16 ? READING_UNSUPPORTED
							   : READING_FAILED);
		}
	}
}

/* --- labels --- */

struct label_row {
	const char *type;
	const char *encoding;    /* NULL: base64 */
	const char *disposition; /* or NULL */
	gboolean found;
};

static const struct label_row labels[] = {
	{ "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m", NULL, NULL, TRUE },
	{ "application/pkcs7-mime; smime-type=signed-data", NULL, NULL, TRUE },
	{ "application/pkcs7-mime; smime-type=authEnveloped-data", NULL, NULL, TRUE },
	{ "application/pkcs7-mime; smime-type=certs-only", NULL, NULL, TRUE },
	{ "application/pkcs7-mime; smime-type=no-such", NULL, NULL, TRUE },
	{ "application/pkcs7-mime", NULL, NULL, TRUE },
	{ "APPLICATION/PKCS7-MIME; SMIME-TYPE=ENVELOPED-DATA; NAME=SMIME.P7M", NULL, NULL, TRUE },
	{ "application/x-pkcs7-mime; name=smime.p7m", NULL, NULL, TRUE },
	{ "application/pkcs7-signature; name=smime.p7m", NULL, NULL, TRUE },
	{ "application/octet-stream; name=smime.p7m", NULL, NULL, TRUE },
	{ "application/octet-stream; name=\"SMIME.P7M\"", NULL, NULL, TRUE },
	{ "application/octet-stream", NULL, "attachment; filename=smime.p7m", TRUE },
	{ "application/octet-stream", NULL, "attachment; filename*=utf-8''smime%2Ep7m", TRUE },
	{ "application/pkcs7-mime", "7bit", NULL, TRUE },
	{ "application/pkcs7-mime", "quoted-unprintable", NULL, TRUE },
	{ "application/pkcs7-mime", "BASE64", NULL, TRUE },
	/* Not what the whole message is, or nobody's label: an attachment like any other. */
	{ "application/octet-stream", NULL, NULL, FALSE },
	{ "application/octet-stream; name=data.bin", NULL, NULL, FALSE },
	{ "application/ms-tnef; name=winmail.dat", NULL, NULL, FALSE },
	{ "text/plain", NULL, NULL, FALSE },
};

static struct spool *
labelled(const struct label_row *row, const char *junk)
{
	CLEANUP(spool) struct spool *plain = mail_of(people, FROM_ALICE TEXT);
	CLEANUP(spool)
	struct spool *message = mail_encrypted(people, &people->bob, plain, "aes-256-cbc");
	g_autofree char *text = spool_text(message);
	g_autoptr(GString) out = g_string_new(FROM_ALICE "MIME-Version: 1.0\r\nContent-Type: ");

	g_string_append_printf(out, "%s\r\nContent-Transfer-Encoding: %s\r\n", row->type,
			       row->encoding != NULL ? row->encoding : "base64");
	if (row->disposition != NULL)
		g_string_append_printf(out, "Content-Disposition: %s\r\n", row->disposition);
	g_string_append(out, strstr(text, "\r\n\r\n") + 2);
	g_string_append(out, junk);
	return mail_of(people, out->str);
}

static void
test_labels(void)
{
	static const char *const junk[] = { "", "\r\n", "\r\n\r\n  \r\n", "--\r\nthe list\r\n",
					    "_____\r\nyour mailing list\r\n" };

	for (gsize i = 0; i < G_N_ELEMENTS(labels); i++) {
		for (gsize j = 0; j < G_N_ELEMENTS(junk); j++) {
			CLEANUP(spool) struct spool *message = labelled(&labels[i], junk[j]);
			CLEANUP(reading) struct reading *reading = people_read(people, message);

			g_test_message("%s + '%s': %s", labels[i].type, junk[j], reading->reason);
			g_assert_cmpint(reading->is_encrypted, ==, labels[i].found);
			/* Text behind the base64 is a footer, or it is not: never other content. */
			if (labels[i].found && j < 3)
				assert_ends(reading->opened, "text/plain");
			if (!labels[i].found)
				g_assert_cmpint(reading->verdict, ==, MAIL_UNSIGNED);
		}
	}
}

/* Primitive strings become constructed ones, lengths indefinite. */
static GByteArray *
as_ber(GBytes *der)
{
	struct tlv in = tlv_of_bytes(der), content, whole;
	GByteArray *out = g_byte_array_new();
	guint8 tag;

	while (tlv_next(&in, &tag, &content, &whole)) {
		gboolean is_content = tag == TLV_CONTEXT(0);

		if ((tag & TLV_CONSTRUCTED) == 0 && !is_content) {
			tlv_put_raw(out, whole.bytes, whole.length);
			continue;
		}
		tag |= TLV_CONSTRUCTED;
		g_byte_array_append(out, &tag, 1);
		g_byte_array_append(out, (const guint8 *)"\x80", 1);
		for (gsize at = 0; is_content && at < content.length;
		     at += MIN(100, content.length - at))
			tlv_put(out, TLV_OCTET_STRING, content.bytes + at,
				MIN(100, content.length - at));
		if (!is_content) {
			g_autoptr(GBytes) inner = g_bytes_new(content.bytes, content.length);
			g_autoptr(GByteArray) ber = as_ber(inner);

			g_byte_array_append(out, ber->data, ber->len);
		}
		g_byte_array_append(out, (const guint8 *)"\0\0", 2);
	}
	return out;
}

/* As programs for files and for AS2 write it: BER, binary, PEM, other line ends. */
static void
test_forms(void)
{
	CLEANUP(spool) struct spool *message = mail_nested(people, FROM_ALICE TEXT, "g");
	CLEANUP(spool) struct spool *cbc = mail_nested(people, FROM_ALICE TEXT, "e");
	struct spool *both[] = { message, cbc };

	for (gsize i = 0; i < G_N_ELEMENTS(both); i++) {
		g_autoptr(GBytes) der = g_byte_array_free_to_bytes(mail_object(people, both[i]));
		g_autoptr(GByteArray) ber = as_ber(der);
		g_autofree char *base64 =
		    g_base64_encode(g_bytes_get_data(der, NULL), g_bytes_get_size(der));
		g_autofree char *pem =
		    g_strdup_printf("-----BEGIN CMS-----\n%s\n-----END CMS-----\n", base64);
		g_autofree char *text = spool_text(both[i]);
		g_auto(GStrv) lines = g_strsplit(text, "\r\n", -1);
		g_autofree char *unix_text = g_strjoinv("\n", lines);
		struct spool *forms[4];

		forms[0] = of_bytes(ber);
		forms[1] = message_from_bytes(people->area, ber->data, ber->len, NULL);
		forms[2] = mail_of(people, pem);
		forms[3] = mail_of(people, unix_text);
		for (gsize f = 0; f < G_N_ELEMENTS(forms); f++) {
			CLEANUP(reading) struct reading *reading = people_read(people, forms[f]);

			g_test_message("%zu: %s; %s", f, reading->reason, reading->detail);
			g_assert_nonnull(reading->opened);
			assert_ends(reading->opened, "text/plain");
		}
		for (gsize f = 0; f < G_N_ELEMENTS(forms); f++)
			spool_unref(forms[f]);
	}
}

/* A CMS object that is a part of something larger is never opened. */
static void
test_part_stays_closed(gconstpointer data)
{
	const char *multipart = data;
	CLEANUP(spool) struct spool *plain = mail_of(people, FROM_ALICE TEXT);
	CLEANUP(spool)
	struct spool *message = mail_encrypted(people, &people->bob, plain, "aes-256-gcm");
	g_autofree char *text = spool_text(message);
	const char *object = strstr(text, "\r\n\r\n") + 2;
	g_autofree char *whole = g_strdup_printf(
	    FROM_ALICE "MIME-Version: 1.0\r\nContent-Type: multipart/%s; boundary=b\r\n\r\n"
		       "--b\r\nContent-Type: text/html\r\n\r\n<img src=\"http://x/\r\n"
		       "--b\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; "
		       "name=smime.p7m\r\nContent-Transfer-Encoding: base64\r\n%s\r\n--b\r\n"
		       "Content-Type: text/html\r\n\r\n\">\r\n--b--\r\n",
	    multipart, object);
	CLEANUP(spool) struct spool *larger = mail_of(people, whole);
	CLEANUP(reading) struct reading *reading = people_read(people, larger);

	g_assert_null(reading->opened);
	g_assert_false(reading->decrypted);
	g_assert_cmpint(reading->closed, ==, READING_OPEN);
	g_assert_null(strstr(reading->reason, "hello"));
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	people = people_new();
	for (gsize i = 0; i < G_N_ELEMENTS(nestings); i++) {
		g_autofree char *name =
		    g_strdup_printf("/reading/nested/%zu %s", i, nestings[i].layers);

		g_test_add_data_func(name, &nestings[i], test_nesting);
	}
	g_test_add_func("/reading/no key: known before, and unknown", test_no_key);
	g_test_add_func("/reading/one failure, whatever it was", test_uniform);
	g_test_add_func("/reading/one failure inside of what was opened", test_uniform_inside);
	g_test_add_func("/reading/tags and what is announced", test_tags);
	g_test_add_data_func("/reading/a bit anywhere, GCM", "aes-128-gcm", test_flipped);
	g_test_add_data_func("/reading/a bit anywhere, CBC", "aes-256-cbc", test_flipped);
	g_test_add_func("/reading/labels do not matter", test_labels);
	g_test_add_func("/reading/forms of the object", test_forms);
	g_test_add_data_func("/reading/a part of a larger message/mixed", "mixed",
			     test_part_stays_closed);
	g_test_add_data_func("/reading/a part of a larger message/report",
			     "report; report-type=delivery-status", test_part_stays_closed);
	status = g_test_run();
	people_free(people);
	return status;
}
