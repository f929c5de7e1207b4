/*
 * wrap - a few lines of text around a shared range of bytes.
 */
#include "milter/mime/wrap.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pki/crypto/base64.h"
#include "pki/crypto/cms.h"
#include "store/base/error.h"

#define PREAMBLE "This is an S/MIME signed message.\r\n"
#define BOUNDARY_RANDOM_BYTES 18

struct wrapped {
	struct spool *body;
	struct spool_area *area;
	char *type;     /* raw values */
	char *encoding; /* NULL: the field is not there */
	char *disposition;
};

struct wrap_cms {
	struct base64_encoder encoder;
	struct spool *body;
	struct spool_area *area;
	enum wrap_type type;
};

static struct wrapped *
wrapped_new(struct spool_area *area, struct spool *body, char *type)
{
	struct wrapped *wrapped = g_new0(struct wrapped, 1);

	wrapped->area = spool_area_ref(area);
	wrapped->body = spool_ref(body);
	wrapped->type = type;
	return wrapped;
}

void
wrapped_free(struct wrapped *wrapped)
{
	if (wrapped == NULL)
		return;
	spool_unref(wrapped->body);
	spool_area_unref(wrapped->area);
	g_free(wrapped->type);
	g_free(wrapped->encoding);
	g_free(wrapped->disposition);
	g_free(wrapped);
}

struct wrapped *
wrap_unprotected(struct spool_area *area, struct spool *body, char *type)
{
	return wrapped_new(area, body, type);
}

/* 144 random bits: that the content holds such a line cannot happen. "=_" is in no base64 and no
 * quoted-printable text (RFC 2045 6.7). No secret: it stands in the message. */
char *
wrap_boundary(GError **error)
{
	guint8 random[BOUNDARY_RANDOM_BYTES];
	g_autofree char *text = NULL;

	if (getentropy(random, sizeof random) != 0)
		return fail(error, PS_ERROR_TEMPORARY, "no random bytes: %s", g_strerror(errno));
	text = g_base64_encode(random, sizeof random);
	g_strdelimit(text, "+/=", '_');
	return g_strconcat("=_", text, NULL);
}

static gboolean
append_signature(struct spool *body, GBytes *signature, GError **error)
{
	struct base64_encoder encoder;
	gsize length;
	const void *bytes = g_bytes_get_data(signature, &length);

	base64_encoder_init(&encoder, spool_sink(body));
	return sink_write(&encoder.sink, bytes, length, error) &&
	       base64_encoder_finish(&encoder, error);
}

struct wrapped *
wrap_clear_signed(struct spool_area *area, struct spool *entity, GBytes *signature_der,
		  const char *digest, GError **error)
{
	CLEANUP(spool) struct spool *body = spool_new(area);
	g_autofree char *boundary = wrap_boundary(error);
	g_autofree char *begin = NULL;
	g_autofree char *middle = NULL;
	g_autofree char *end = NULL;
	enum cms_digest algorithm;

	if (boundary == NULL)
		return NULL;
	if (!cms_digest_from_name(digest, &algorithm))
		return fail(error, PS_ERROR_BUG, "unknown digest %s", digest);
	begin = g_strconcat(PREAMBLE "\r\n--", boundary, "\r\n", NULL);
	middle = g_strconcat("\r\n--", boundary,
			     "\r\n"
			     "Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"
			     "Content-Transfer-Encoding: base64\r\n"
			     "Content-Disposition: attachment; filename=\"smime.p7s\"\r\n"
			     "\r\n",
			     NULL);
	end = g_strconcat("\r\n--", boundary, "--\r\n", NULL);
	if (!spool_append_text(body, begin, error) ||
	    !spool_append_range(body, entity, 0, spool_size(entity), error) ||
	    !spool_append_text(body, middle, error) ||
	    !append_signature(body, signature_der, error) || !spool_append_text(body, end, error) ||
	    !spool_seal(body, error))
		return NULL;
	return wrapped_new(area, body,
			   g_strdup_printf(" multipart/signed; "
					   "protocol=\"application/pkcs7-signature\";\n"
					   " micalg=%s; boundary=\"%s\"",
					   cms_digest_micalg(algorithm), boundary));
}

struct wrap_cms *
wrap_cms_new(struct spool_area *area, enum wrap_type type)
{
	struct wrap_cms *wrap = g_new0(struct wrap_cms, 1);

	wrap->area = spool_area_ref(area);
	wrap->type = type;
	wrap->body = spool_new(area);
	base64_encoder_init(&wrap->encoder, spool_sink(wrap->body));
	return wrap;
}

struct sink *
wrap_cms_sink(struct wrap_cms *wrap)
{
	return &wrap->encoder.sink;
}

void
wrap_cms_free(struct wrap_cms *wrap)
{
	if (wrap == NULL)
		return;
	spool_unref(wrap->body);
	spool_area_unref(wrap->area);
	g_free(wrap);
}

/* RFC 8551 section 3.2.2. */
static const char *
smime_type_of(enum wrap_type type)
{
	switch (type) {
	case WRAP_SIGNED_DATA:
		return "signed-data";
	case WRAP_ENVELOPED_DATA:
		return "enveloped-data";
	case WRAP_AUTH_ENVELOPED_DATA:
		return "authEnveloped-data";
	}
	return "enveloped-data";
}

struct wrapped *
wrap_cms_finish(struct wrap_cms *wrap, GError **error)
{
	struct wrapped *wrapped;

	if (!base64_encoder_finish(&wrap->encoder, error) || !spool_seal(wrap->body, error))
		return NULL;
	wrapped = wrapped_new(wrap->area, wrap->body,
			      g_strdup_printf(" application/pkcs7-mime; smime-type=%s;\n"
					      " name=\"smime.p7m\"",
					      smime_type_of(wrap->type)));
	wrapped->encoding = g_strdup(" base64");
	wrapped->disposition = g_strdup(" attachment; filename=\"smime.p7m\"");
	return wrapped;
}

struct spool *
wrapped_body(const struct wrapped *wrapped)
{
	return wrapped->body;
}

static void
append_field(GString *block, const char *name, const char *value)
{
	if (value == NULL)
		return;
	g_string_append_printf(block, "%s:", name);
	for (; *value != '\0'; value++) {
		if (*value == '\n')
			g_string_append_c(block, '\r');
		g_string_append_c(block, *value);
	}
	g_string_append(block, "\r\n");
}

struct spool *
wrapped_entity(const struct wrapped *wrapped, GError **error)
{
	CLEANUP(spool) struct spool *entity = spool_new(wrapped->area);
	g_autoptr(GString) block = g_string_new(NULL);

	append_field(block, "Content-Type", wrapped->type);
	append_field(block, "Content-Transfer-Encoding", wrapped->encoding);
	append_field(block, "Content-Disposition", wrapped->disposition);
	g_string_append(block, "\r\n");
	if (!spool_append(entity, block->str, block->len, error) ||
	    !spool_append_range(entity, wrapped->body, 0, spool_size(wrapped->body), error) ||
	    !spool_seal(entity, error))
		return NULL;
	return g_steal_pointer(&entity);
}

static void
edit_field(struct edits *edits, const struct headers *headers, const char *name, const char *value)
{
	if (value != NULL)
		edits_replace(edits, headers, name, value);
	else
		edits_delete_all(edits, headers, name);
}

static gboolean
version_is_sane(const struct headers *headers)
{
	const char *value = headers_value(headers, "MIME-Version");

	if (value == NULL || headers_count_of(headers, "MIME-Version") != 1)
		return FALSE;
	value += strspn(value, " \t");
	return strcmp(value, "1.0") == 0;
}

void
wrapped_edit_version(const struct headers *headers, struct edits *edits)
{
	if (!version_is_sane(headers))
		edits_replace(edits, headers, "MIME-Version", " 1.0");
}

void
wrapped_edit(const struct wrapped *wrapped, const struct headers *headers, struct edits *edits)
{
	wrapped_edit_version(headers, edits);
	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *field = headers_at(headers, i);

		if (header_has_prefix(field, "Content-"))
			edits_delete(edits, field->name, field->occurrence);
	}
	edit_field(edits, headers, "Content-Type", wrapped->type);
	edit_field(edits, headers, "Content-Transfer-Encoding", wrapped->encoding);
	edit_field(edits, headers, "Content-Disposition", wrapped->disposition);
	edits_set_body(edits, wrapped->body);
}
