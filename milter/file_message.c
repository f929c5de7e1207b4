/*
 * file_message - the mail path's own modules, driven from a file.
 */
#include "milter/file_message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "milter/message/edits.h"
#include "milter/message/line_ends.h"
#include "milter/mime/canonical.h"
#include "milter/mime/scan.h"
#include "milter/mime/wrap.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/cms_sign.h"
#include "store/base/error.h"

#define FILE_MAX_BYTES ((guint64)2 * 1024 * 1024 * 1024)
#define LOOK_BYTES 2000

/* --- reading a file --- */

enum file_kind { FILE_CRLF, FILE_LF, FILE_DER, FILE_PEM };

/* By its first bytes. A file whose first line ends in CRLF is mail as it was on the wire. */
static enum file_kind
look_at(const guint8 *bytes, gsize length)
{
	const guint8 *lf = memchr(bytes, '\n', length);

	/* a SEQUENCE that begins with an object identifier; text may begin with "0", too */
	if (length > 2 && bytes[0] == 0x30 && (bytes[1] >= 0x80 || bytes[2] == 0x06))
		return FILE_DER;
	if (length > 11 && memcmp(bytes, "-----BEGIN ", 11) == 0)
		return FILE_PEM;
	return lf != NULL && lf > bytes && lf[-1] == '\r' ? FILE_CRLF : FILE_LF;
}

static const char object_header[] = "MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime\r\n"
				    "Content-Transfer-Encoding: ";

/* The base64 between the lines of a PEM object. */
static gboolean
append_pem(struct spool *to, const char *text, gsize length, GError **error)
{
	const char *begin = memchr(text, '\n', length);
	const char *end;

	if (begin == NULL)
		return fail_false(error, PS_ERROR_INVALID, "PEM object has one line only");
	begin++;
	end = g_strstr_len(begin, (gssize)(length - (gsize)(begin - text)), "-----END ");
	if (end == NULL)
		return fail_false(error, PS_ERROR_INVALID, "PEM object has no END line");
	return spool_append_text(to, object_header, error) &&
	       spool_append_text(to, "base64\r\n\r\n", error) &&
	       spool_append(to, begin, (gsize)(end - begin), error);
}

static gboolean
has_null_byte(struct spool *file, guint64 from, gboolean *has, GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(file, from, spool_size(file));
	const guint8 *bytes;
	gssize length;

	*has = FALSE;
	while (!*has && (length = spool_reader_next(reader, &bytes, error)) != 0) {
		if (length < 0)
			return FALSE;
		*has = memchr(bytes, '\0', (gsize)length) != NULL;
	}
	return TRUE;
}

/* Where the body begins that lies in an LF file as it was on the wire, behind a header that a
 * program wrote beside it: lines of CRLF, or octets that are no text. Else the end of the file. */
static gboolean
find_raw_body(struct spool *file, guint64 *start, GError **error)
{
	CLEANUP(headers) struct headers *headers = NULL;
	g_autoptr(GBytes) head = NULL;
	GError *failure = NULL;
	gboolean raw = FALSE;
	const guint8 *bytes;
	gsize length;

	headers = headers_parse(file, 0, spool_size(file), start, &failure);
	if (failure != NULL && failure->code != PS_ERROR_INVALID) {
		g_propagate_error(error, failure);
		return FALSE;
	}
	g_clear_error(&failure); /* said where it is read */
	if (headers != NULL) {
		head = spool_bytes(file, *start, MIN(*start + LOOK_BYTES, spool_size(file)),
				   LOOK_BYTES, error);
		if (head == NULL || !has_null_byte(file, *start, &raw, error))
			return FALSE;
		bytes = g_bytes_get_data(head, &length);
		raw |= look_at(bytes, length) == FILE_CRLF;
	}
	if (!raw)
		*start = spool_size(file);
	return TRUE;
}

/* All lines of mail end in CRLF. */
static gboolean
append_lf_file(struct spool *to, struct spool *file, GError **error)
{
	struct line_ends line_ends;
	guint64 raw = 0;

	line_ends_init(&line_ends, spool_sink(to));
	return find_raw_body(file, &raw, error) &&
	       spool_write_range(file, 0, raw, &line_ends.sink, error) &&
	       spool_append_range(to, file, raw, spool_size(file), error);
}

static struct spool *
as_message(struct spool_area *area, struct spool *file, GError **error)
{
	CLEANUP(spool) struct spool *message = spool_new(area);
	g_autoptr(GBytes) head =
	    spool_bytes(file, 0, MIN(LOOK_BYTES, spool_size(file)), LOOK_BYTES, error);
	g_autoptr(GBytes) all = NULL;
	gsize length;
	const guint8 *bytes;
	gboolean done = FALSE;

	if (head == NULL)
		return NULL;
	bytes = g_bytes_get_data(head, &length);
	switch (look_at(bytes, length)) {
	case FILE_CRLF:
		return spool_ref(file);
	case FILE_LF:
		done = append_lf_file(message, file, error);
		break;
	case FILE_DER:
		done = spool_append_text(message, object_header, error) &&
		       spool_append_text(message, "binary\r\n\r\n", error) &&
		       spool_append_range(message, file, 0, spool_size(file), error);
		break;
	case FILE_PEM:
		all = spool_bytes(file, 0, spool_size(file), G_MAXINT, error);
		if (all != NULL) {
			bytes = g_bytes_get_data(all, &length);
			done = append_pem(message, (const char *)bytes, length, error);
		}
		break;
	}
	if (!done || !spool_seal(message, error))
		return NULL;
	return g_steal_pointer(&message);
}

gboolean
message_is_bare(struct spool *message)
{
	gsize length = sizeof object_header - 1;
	g_autoptr(GBytes) head = NULL;

	if (spool_size(message) < length)
		return FALSE;
	head = spool_bytes(message, 0, length, length, NULL);
	return head != NULL && memcmp(g_bytes_get_data(head, NULL), object_header, length) == 0;
}

struct spool *
message_from_bytes(struct spool_area *area, gconstpointer bytes, gsize length, GError **error)
{
	CLEANUP(spool) struct spool *file = spool_from_bytes(area, bytes, length, error);

	return file != NULL ? as_message(area, file, error) : NULL;
}

struct spool *
message_open(struct spool_area *area, const char *path, GError **error)
{
	gboolean standard = strcmp(path, "-") == 0;
	int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	CLEANUP(spool) struct spool *file = NULL;

	if (fd < 0)
		return fail(error, errno == ENOENT ? PS_ERROR_NOT_FOUND : PS_ERROR_DENIED,
			    "%s: cannot open: %s", path, g_strerror(errno));
	file = spool_from_fd(area, fd, FILE_MAX_BYTES, error);
	if (!standard)
		close(fd);
	if (file == NULL) {
		g_prefix_error(error, "%s: ", path);
		return NULL;
	}
	return as_message(area, file, error);
}

/* --- making messages --- */

struct source_message {
	struct headers *headers;
	struct mime_tree *tree;
};

static void
source_message_clear(struct source_message *source)
{
	mime_tree_free(source->tree);
	headers_unref(source->headers);
}

static gboolean
source_message_read(struct source_message *source, struct spool *message, GError **error)
{
	guint64 body = 0;

	memset(source, 0, sizeof *source);
	source->headers = headers_parse(message, 0, spool_size(message), &body, error);
	if (source->headers == NULL)
		return FALSE;
	source->tree = scan_message(source->headers, message, body, spool_size(message), error);
	return source->tree != NULL;
}

static struct spool *
write_message(struct spool_area *area, const struct source_message *source,
	      const struct wrapped *wrapped, GError **error)
{
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(spool) struct spool *out = spool_new(area);

	wrapped_edit(wrapped, source->headers, edits);
	if (!edits_apply_to_message(edits, source->headers, source->tree->spool, spool_sink(out),
				    error) ||
	    !spool_seal(out, error))
		return NULL;
	return g_steal_pointer(&out);
}

static struct wrapped *
sign_clear(struct spool_area *area, struct spool *entity, struct cms_signer *signer,
	   const struct message_sign_options *options, GError **error)
{
	CLEANUP(cms_sign) struct cms_sign *sign = cms_sign_detached(signer, options->signing_time);
	g_autoptr(GBytes) der = NULL;

	if (!spool_write(entity, cms_sign_sink(sign), error))
		return NULL;
	der = cms_sign_finish_detached(sign, error);
	if (der == NULL)
		return NULL;
	return wrap_clear_signed(area, entity, der, cms_digest_name(cms_signer_digest(signer)),
				 error);
}

static struct wrapped *
sign_opaque(struct spool_area *area, struct spool *entity, struct cms_signer *signer,
	    const struct message_sign_options *options, GError **error)
{
	CLEANUP(wrap_cms) struct wrap_cms *wrap = wrap_cms_new(area, WRAP_SIGNED_DATA);
	CLEANUP(cms_sign)
	struct cms_sign *sign =
	    cms_sign_opaque(signer, options->signing_time, spool_size(entity), wrap_cms_sink(wrap));

	if (!spool_write(entity, cms_sign_sink(sign), error) ||
	    !cms_sign_finish_opaque(sign, error))
		return NULL;
	return wrap_cms_finish(wrap, error);
}

static struct wrapped *
sign_entity(struct spool_area *area, const struct canonical *canonical,
	    const struct message_sign_options *options, GError **error)
{
	struct cms_signer_options how = {
		.digest = CMS_DIGEST_SHA256,
		.scheme = options->pss ? CMS_SCHEME_PSS : CMS_SCHEME_PKCS1,
		.chain = options->chain,
	};
	CLEANUP(cms_signer) struct cms_signer *signer = NULL;

	if (options->digest != NULL && !cms_digest_from_name(options->digest, &how.digest))
		return fail(error, PS_ERROR_INVALID,
			    "unknown digest '%s', use sha256, sha384 or "
			    "sha512",
			    options->digest);
	signer = cms_signer_new(options->cert, options->key, &how, error);
	if (signer == NULL)
		return NULL;
	if (options->opaque || canonical->needs_opaque)
		return sign_opaque(area, canonical->entity, signer, options, error);
	return sign_clear(area, canonical->entity, signer, options, error);
}

struct spool *
message_sign(struct spool_area *area, struct spool *message,
	     const struct message_sign_options *options, GError **error)
{
	struct source_message source;
	CLEANUP(canonical) struct canonical *canonical = NULL;
	CLEANUP(wrapped) struct wrapped *wrapped = NULL;
	struct spool *out = NULL;

	if (source_message_read(&source, message, error) &&
	    (canonical = canonical_for_signing(source.tree, area, error)) != NULL &&
	    (wrapped = sign_entity(area, canonical, options, error)) != NULL)
		out = write_message(area, &source, wrapped, error);
	source_message_clear(&source);
	return out;
}

static struct wrapped *
encrypt_entity(struct spool_area *area, struct spool *entity,
	       const struct message_encrypt_options *options, GError **error)
{
	g_autofree struct cms_recipient *recipients = NULL;
	struct cms_encrypt_options how = { .cipher = CMS_CIPHER_AES_256_CBC,
					   .content_size = spool_size(entity) };
	CLEANUP(wrap_cms) struct wrap_cms *wrap = NULL;
	CLEANUP(cms_encrypt) struct cms_encrypt *encrypt = NULL;

	if (options->cipher != NULL && !cms_cipher_from_name(options->cipher, &how.cipher))
		return fail(error, PS_ERROR_INVALID,
			    "unknown cipher '%s', use aes-256-gcm, "
			    "aes-128-gcm, aes-256-cbc or aes-128-cbc",
			    options->cipher);
	recipients = g_new0(struct cms_recipient, options->recipients->len);
	for (guint i = 0; i < options->recipients->len; i++) {
		recipients[i].cert = options->recipients->pdata[i];
		recipients[i].transport =
		    options->oaep ? CMS_TRANSPORT_OAEP_SHA256 : CMS_TRANSPORT_PKCS1;
	}
	wrap = wrap_cms_new(area, cms_cipher_is_aead(how.cipher) ? WRAP_AUTH_ENVELOPED_DATA
								 : WRAP_ENVELOPED_DATA);
	encrypt =
	    cms_encrypt_new(recipients, options->recipients->len, &how, wrap_cms_sink(wrap), error);
	if (encrypt == NULL || !spool_write(entity, cms_encrypt_sink(encrypt), error) ||
	    !cms_encrypt_finish(encrypt, error))
		return NULL;
	return wrap_cms_finish(wrap, error);
}

struct spool *
message_encrypt(struct spool_area *area, struct spool *message,
		const struct message_encrypt_options *options, GError **error)
{
	struct source_message source;
	CLEANUP(canonical) struct canonical *canonical = NULL;
	CLEANUP(wrapped) struct wrapped *wrapped = NULL;
	struct spool *out = NULL;

	if (source_message_read(&source, message, error) &&
	    (canonical = canonical_for_encryption(source.tree, area, error)) != NULL &&
	    (wrapped = encrypt_entity(area, canonical->entity, options, error)) != NULL)
		out = write_message(area, &source, wrapped, error);
	source_message_clear(&source);
	return out;
}
