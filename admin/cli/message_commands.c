/*
 * message_commands - the mail path's code on messages in files.
 */
#include "admin/cli/message_commands.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "admin/api/call.h"
#include "admin/cli/file_pieces.h"
#include "milter/file_message.h"
#include "milter/mime/protected.h"
#include "milter/mime/subject.h"
#include "pki/file_verify.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"

#define MEMORY_MAX_BYTES (8 * 1024 * 1024)
#define TOTAL_MAX_BYTES (8ULL * 1024 * 1024 * 1024)

/* --- files --- */

static struct spool_area *
open_area(GError **error)
{
	const char *folder =
	    g_file_test("/dev/shm", G_FILE_TEST_IS_DIR) ? "/dev/shm" : g_get_tmp_dir();

	return spool_area_new(folder, MEMORY_MAX_BYTES, TOTAL_MAX_BYTES, error);
}

struct fd_sink {
	struct sink sink;
	int fd;
	const char *name;
};

static gboolean
write_all(struct sink *sink, gconstpointer bytes, gsize length, GError **error)
{
	struct fd_sink *self = (struct fd_sink *)sink;
	const char *p = bytes;

	while (length > 0) {
		ssize_t written = write(self->fd, p, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return fail_false(error, PS_ERROR_TEMPORARY, "%s: %s", self->name,
					  g_strerror(errno));
		p += written;
		length -= (gsize)written;
	}
	return TRUE;
}

/* A new file beside, renamed when it is whole: no half of a content is left under its name. */
static gboolean
write_to_file(struct spool *content, const char *path, GError **error)
{
	g_autofree char *part = g_strdup_printf("%s.%d.part", path, (int)getpid());
	struct fd_sink sink = { .sink = { write_all }, .name = path };
	gboolean written;

	sink.fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (sink.fd < 0)
		return fail_false(error, errno == EACCES ? PS_ERROR_DENIED : PS_ERROR_TEMPORARY,
				  "%s: %s", path, g_strerror(errno));
	written = spool_write(content, &sink.sink, error);
	if (close(sink.fd) != 0 && written)
		written = fail_false(error, PS_ERROR_TEMPORARY, "%s: %s", path, g_strerror(errno));
	if (written && rename(part, path) != 0)
		written = fail_false(error, PS_ERROR_TEMPORARY, "%s: %s", path, g_strerror(errno));
	if (!written)
		unlink(part);
	return written;
}

/* To --output, else to standard output. */
static json_t *
write_result(const struct command_line *line, struct spool *content, GError **error)
{
	const char *path = command_line_text(line, "output");
	struct fd_sink sink = { .sink = { write_all },
				.fd = STDOUT_FILENO,
				.name = "standard output" };

	if (path == NULL || strcmp(path, "-") == 0)
		return spool_write(content, &sink.sink, error) ? json_null() : NULL;
	if (!write_to_file(content, path, error))
		return NULL;
	return json_pack("{s:s, s:I}", "written", path, "bytes", (json_int_t)spool_size(content));
}

/* --- reports --- */

static json_t *
layers_json(const GPtrArray *layers)
{
	json_t *array = json_array();

	for (guint i = 0; i < layers->len; i++) {
		const struct reading_layer *layer = g_ptr_array_index(layers, i);
		json_t *object = json_object();
		json_t *recipients = json_array();

		json_object_set_new(object, "type", json_string(layer_type_name(layer->type)));
		if (layer->type == LAYER_SIGNED)
			json_object_set_new(object, "form",
					    json_string(layer->opaque ? "opaque" : "clear"));
		json_object_set_new(object, "content_type", answer_text(layer->content_type));
		json_object_set_new(object, "algorithm", answer_text(layer->algorithm));
		for (guint k = 0; layer->recipients != NULL && k < layer->recipients->len; k++)
			json_array_append_new(recipients,
					      answer_text(g_ptr_array_index(layer->recipients, k)));
		if (json_array_size(recipients) > 0)
			json_object_set(object, "recipients", recipients);
		json_decref(recipients);
		json_array_append_new(array, object);
	}
	return array;
}

static json_t *
signer_json(const struct reading_signer *signer)
{
	json_t *object = json_object();
	json_t *emails = json_array();

	for (guint i = 0; signer->emails != NULL && i < signer->emails->len; i++)
		json_array_append_new(emails, answer_text(g_ptr_array_index(signer->emails, i)));
	json_object_set_new(object, "subject", answer_text(signer->subject));
	json_object_set_new(object, "emails", emails);
	json_object_set_new(object, "digest", answer_text(signer->digest));
	json_object_set_new(object, "algorithm", answer_text(signer->algorithm));
	json_object_set_new(object, "signing_time", answer_time(signer->signing_time));
	json_object_set_new(object, "signature",
			    json_string(signer_signature_name(signer->signature)));
	json_object_set_new(object, "trust", json_string(signer_trust_name(signer->trust)));
	json_object_set_new(object, "reason", answer_text(signer->reason));
	json_object_set_new(object, "from_matches", json_boolean(signer->from_matches));
	return object;
}

/* Decoded as a mail program shows it, on one line. */
static json_t *
field_json(const struct protected_field *field)
{
	g_autofree char *decoded = g_strdelimit(subject_decode(field->value), "\t", ' ');
	g_autofree char *value = printable_bytes(decoded, strlen(decoded), HEADERS_FIELD_MAX_BYTES);

	return json_pack("{s:o, s:o, s:s, s:b}", "name", answer_text(field->name), "value",
			 answer_text(value), "protection", protected_state_name(field->state),
			 "same_outside", field->same_outside);
}

static json_t *
protected_json(const struct protected_fields *inside)
{
	json_t *fields = json_array();

	if (inside == NULL) {
		json_decref(fields);
		return json_null();
	}
	for (guint i = 0; i < inside->fields->len; i++)
		json_array_append_new(fields, field_json(g_ptr_array_index(inside->fields, i)));
	return json_pack("{s:s, s:b, s:b, s:o}", "scheme", protected_scheme_name(inside->scheme),
			 "meant_encrypted", inside->cipher, "ambiguous", inside->ambiguous,
			 "fields", fields);
}

static json_t *
report_json(const struct message_report *report)
{
	json_t *answer = json_object();
	json_t *signers = json_array();

	json_object_set_new(answer, "signed", json_boolean(report->is_signed));
	json_object_set_new(answer, "encrypted", json_boolean(report->is_encrypted));
	if (report->unauthenticated) /* who has the cipher text could have changed it */
		json_object_set_new(answer, "integrity", json_string("none"));
	json_object_set_new(answer, "from", answer_text(report->from));
	json_object_set_new(answer, "layers", layers_json(report->layers));
	for (guint i = 0; i < report->signers->len; i++)
		json_array_append_new(signers, signer_json(g_ptr_array_index(report->signers, i)));
	json_object_set_new(answer, "signers", signers);
	json_object_set_new(answer, "protected_header", protected_json(report->protected_fields));
	json_object_set_new(answer, "verdict", json_string(mail_verdict_name(report->verdict)));
	json_object_set_new(answer, "reason", answer_text(report->reason));
	return answer;
}

static json_t *
parts_json(const GPtrArray *parts)
{
	json_t *array = json_array();

	for (guint i = 0; i < parts->len; i++) {
		const struct reading_part *part = g_ptr_array_index(parts, i);

		json_array_append_new(
		    array,
		    json_pack("{s:i, s:o, s:o, s:o, s:I}", "depth", (int)part->depth, "type",
			      answer_text(part->type), "encoding", answer_text(part->encoding),
			      "name", answer_text(part->name), "size", (json_int_t)part->size));
	}
	return array;
}

static json_t *
show(struct spool_area *area, struct spool *message, GError **error)
{
	CLEANUP(message_report)
	struct message_report *report = message_show(area, message, error);
	json_t *answer;

	if (report == NULL)
		return NULL;
	answer = report_json(report);
	/* Nobody was asked to judge: no trust was given. */
	json_object_del(answer, "verdict");
	json_object_del(answer, "reason");
	json_object_set_new(answer, "parts", parts_json(report->parts));
	return answer;
}

/* --- verify, decrypt --- */

struct opening {
	struct file_pool *roots, *untrusted, *crls, *keys;
	struct secret *password; /* of a key file, or of the message; NULL: none */
	struct chain_options chain;
};

static void
opening_clear(struct opening *opening)
{
	file_pool_free(opening->roots);
	file_pool_free(opening->untrusted);
	file_pool_free(opening->crls);
	file_pool_free(opening->keys);
	secret_unref(opening->password);
}

static struct file_pool *
read_pool(const struct command_line *line, const char *name, GError **error)
{
	g_autofree const char **paths = command_line_texts(line, name);

	return file_pool_read(paths, NULL, file_command_broken, NULL, error);
}

/* With the password that opens them; it may be read once only. */
static struct file_pool *
read_keys(const struct command_line *line, struct secret **password, GError **error)
{
	g_autofree const char **paths = command_line_texts(line, "key");
	g_autoptr(GError) problem = NULL;

	*password = file_command_password(line, paths, &problem);
	if (problem != NULL) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return NULL;
	}
	return file_pool_read(paths, *password, file_command_broken, NULL, error);
}

static gboolean
read_opening(const struct command_line *line, struct opening *opening, GError **error)
{
	memset(opening, 0, sizeof *opening);
	if ((opening->roots = read_pool(line, "roots", error)) == NULL ||
	    (opening->untrusted = read_pool(line, "untrusted", error)) == NULL ||
	    (opening->crls = read_pool(line, "crls", error)) == NULL ||
	    (opening->keys = read_keys(line, &opening->password, error)) == NULL ||
	    !file_command_time(line, &opening->chain.at, error))
		return FALSE;
	opening->chain.anchors = opening->roots->certs;
	opening->chain.untrusted = opening->untrusted->certs;
	opening->chain.crls = opening->crls->crls;
	opening->chain.revocation = file_command_revocation(line);
	/* Old mail is read with the algorithms of its time; the reason says so. */
	opening->chain.allow_legacy = TRUE;
	return TRUE;
}

static json_t *
open_message(const struct command_line *line, struct spool_area *area, struct spool *message,
	     gboolean decrypt, int *exit_status, GError **error)
{
	const char *output = command_line_text(line, "output");
	CLEANUP(message_report) struct message_report *report = NULL;
	struct opening opening;
	json_t *answer = NULL;

	if (read_opening(line, &opening, error)) {
		struct message_options options = {
			.chain = &opening.chain,
			.at_signing_time = command_line_text(line, "at") == NULL,
			.crls_require = command_line_text(line, "revocation") == NULL,
			.keys = opening.keys->keys,
			.certs = opening.keys->certs,
			.password = opening.password,
		};
		report = decrypt ? message_decrypt(area, message, &options, error)
				 : message_verify(area, message, &options, error);
	}
	if (report != NULL) {
		gboolean good = decrypt ? report->content != NULL && report->is_encrypted
					: report->verdict == MAIL_VALID;

		*exit_status = good ? 0 : 1;
		answer = report_json(report);
		if (output != NULL && report->content != NULL) {
			json_t *written = write_result(line, report->content, error);

			/* Standard output is the content's then. */
			if (written == NULL || json_is_null(written))
				json_decref(answer);
			if (written == NULL || json_is_null(written))
				answer = written;
			else
				json_decref(written);
		}
	}
	opening_clear(&opening);
	return answer;
}

/* --- sign, encrypt --- */

static json_t *
sign(const struct command_line *line, struct spool_area *area, struct spool *message,
     GError **error)
{
	CLEANUP(secret) struct secret *password = NULL;
	CLEANUP(file_pool) struct file_pool *pool = read_keys(line, &password, error);
	g_autoptr(GPtrArray) chain = g_ptr_array_new();
	CLEANUP(spool) struct spool *result = NULL;
	struct message_sign_options options = {
		.chain = chain,
		.opaque = command_line_flag(line, "opaque"),
		.pss = command_line_flag(line, "pss"),
		.digest = command_line_text(line, "digest"),
		.signing_time = clock_now(clock_system()),
	};

	if (pool == NULL)
		return NULL;
	if (pool->keys->len == 0)
		return fail(error, PS_ERROR_INVALID, "%s: no private key in it",
			    command_line_text(line, "key"));
	options.key = g_ptr_array_index(pool->keys, 0);
	for (guint i = 0; i < pool->certs->len; i++) {
		struct cert *cert = g_ptr_array_index(pool->certs, i);

		if (options.cert == NULL && key_fits(options.key, cert))
			options.cert = cert;
		else
			g_ptr_array_add(chain, cert);
	}
	if (options.cert == NULL)
		return fail(
		    error, PS_ERROR_INVALID,
		    "%s: no certificate that fits the key; name its file with another --key",
		    command_line_text(line, "key"));
	result = message_sign(area, message, &options, error);
	return result != NULL ? write_result(line, result, error) : NULL;
}

static json_t *
encrypt(const struct command_line *line, struct spool_area *area, struct spool *message,
	GError **error)
{
	CLEANUP(file_pool) struct file_pool *pool = read_pool(line, "to", error);
	CLEANUP(spool) struct spool *result = NULL;
	g_autoptr(GPtrArray) recipients = g_ptr_array_new();
	struct message_encrypt_options options = {
		.recipients = recipients,
		.cipher = command_line_text(line, "cipher"),
		.oaep = command_line_flag(line, "oaep"),
	};

	if (pool == NULL)
		return NULL;
	/* A file with a chain names its first one; issuers are no recipients. */
	for (guint i = 0; i < pool->certs->len; i++)
		if (!cert_is_ca(g_ptr_array_index(pool->certs, i)))
			g_ptr_array_add(recipients, g_ptr_array_index(pool->certs, i));
	/* A self-signed certificate of a person is often one that could issue, too. */
	if (recipients->len == 0 && pool->certs->len > 0)
		g_ptr_array_add(recipients, g_ptr_array_index(pool->certs, 0));
	if (recipients->len == 0)
		return fail(error, PS_ERROR_INVALID, "%s: no certificate of a recipient in it",
			    command_line_text(line, "to"));
	result = message_encrypt(area, message, &options, error);
	return result != NULL ? write_result(line, result, error) : NULL;
}

json_t *
message_command_run(const struct command_line *line, int *exit_status, GError **error)
{
	enum operation_id id = operation_id_of(line->operation);
	CLEANUP(spool_area) struct spool_area *area = open_area(error);
	CLEANUP(spool) struct spool *message = NULL;

	if (area == NULL)
		return NULL;
	message = message_open(area, command_line_text(line, "file"), error);
	if (message == NULL)
		return NULL;
	if (id == OPERATION_MESSAGE_SHOW)
		return show(area, message, error);
	if (id == OPERATION_MESSAGE_SIGN)
		return sign(line, area, message, error);
	if (id == OPERATION_MESSAGE_ENCRYPT)
		return encrypt(line, area, message, error);
	return open_message(line, area, message, id == OPERATION_MESSAGE_DECRYPT, exit_status,
			    error);
}
