/*
 * atlas_cert - GET /certificates/SERIAL, and /stats/issued after a lost answer.
 */
#include "pki/handlers/atlas_cert.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/requests.h"

#define SERIAL_MAX_DIGITS 64
#define LOOK_PAGE 100    /* serial numbers a page */
#define LOOK_MAX 300     /* that are looked at */
#define LOOK_SKEW 300    /* seconds that clocks may differ */
#define LOOK_WINDOW 7200 /* seconds after the request within which it has taken effect */

/* --- the handle --- */

gboolean
atlas_serial_is(const char *text)
{
	gsize length = strspn(text, "0123456789abcdefABCDEF");

	return length > 0 && length <= SERIAL_MAX_DIGITS && text[length] == '\0';
}

struct atlas_handle
atlas_handle_read(const char *text)
{
	struct atlas_handle handle = { 0 };
	g_auto(GStrv) words = g_strsplit(text != NULL ? text : "", " ", 4);
	guint n = g_strv_length(words);

	if (n == 2 && strcmp(words[0], "serial") == 0 && atlas_serial_is(words[1]))
		handle.serial = g_strdup(words[1]);
	if (n == 3 && strcmp(words[0], "sent") == 0) {
		handle.since = lost_number(words[1]);
		handle.times = (gint)MIN(lost_number(words[2]), G_MAXINT);
	}
	return handle;
}

/* --- the certificate --- */

void
atlas_add_chain(struct atlas *atlas, GPtrArray *certs)
{
	struct handler_answer unused = { 0 };
	g_autoptr(GError) why = NULL;
	json_t *chain = atlas_document(atlas, "/trustchain", &unused, &why);
	size_t i;
	json_t *pem;

	json_array_foreach(chain, i, pem)
	{
		struct cert *cert =
		    json_is_string(pem)
			? peer_cert_from_pem(json_string_value(pem), json_string_length(pem), NULL)
			: NULL;
		if (cert != NULL)
			g_ptr_array_add(certs, cert);
	}
	json_decref(chain);
	handler_answer_clear(&unused);
}

/* 200 with status ISSUED or REVOKED; *status is a copy. NULL: not an answer of that kind. */
static struct cert *
read_cert(const struct http_answer *got, char **status)
{
	json_t *document = got->status == 200 ? peer_json(got, NULL) : NULL;
	const char *pem = peer_json_text(document, "certificate", 1024 * 1024);
	struct cert *cert = pem != NULL ? peer_cert_from_pem(pem, strlen(pem), NULL) : NULL;

	*status = g_strdup(peer_json_text(document, "status", 20));
	json_decref(document);
	return cert;
}

static struct http_answer *
get_cert(struct atlas *atlas, const char *serial, struct handler_answer *answer, GError **error)
{
	g_autofree char *path = g_strconcat("/certificates/", serial, NULL);

	return atlas_say(atlas, "GET", path, NULL, FALSE, answer, error);
}

/* One question. TRUE: not ready yet. */
gboolean
atlas_cert_fetch(struct atlas *atlas, const char *serial, struct handler_answer *answer,
		 GError **error)
{
	g_autofree char *status = NULL;
	CLEANUP(http_answer) struct http_answer *got = get_cert(atlas, serial, answer, error);

	if (got == NULL)
		return FALSE;
	if (got->status == 202) {
		handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_NONE, "202",
				   "certificate %s is not ready yet", serial);
		return TRUE;
	}
	struct cert *cert = read_cert(got, &status);
	if (cert == NULL) {
		atlas_judge(atlas, got, FALSE, answer);
		/* It has been asked for: whatever is wrong now, it goes on from the serial. */
		peer_soften(answer);
		if (got->status == 404)
			answer->error_class = HANDLER_ERROR_TRANSIENT;
	} else if (g_strcmp0(status, "REVOKED") == 0) {
		cert_unref(cert);
		handler_answer_set(answer, HANDLER_REJECTED, HANDLER_ERROR_INPUT, "REVOKED",
				   "certificate %s was revoked at the CA", serial);
	} else {
		answer->status = HANDLER_ISSUED;
		answer->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
		g_ptr_array_add(answer->certs, cert);
		atlas_add_chain(atlas, answer->certs);
	}
	return FALSE;
}

/* A few times at once; then the worker comes back to it. */
void
atlas_cert_pick_up(struct atlas *atlas, const char *serial, struct handler_answer *answer,
		   GError **error)
{
	const struct handler_context *context = atlas->session.context;
	gint64 delay = handler_config_seconds(context->config, "pickup_delay");
	gint64 retries = handler_config_int(context->config, "pickup_retries");

	for (gint64 i = 0; i <= retries; i++) {
		if (!atlas_wait(context, delay * (i + 1))) {
			handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_NONE, NULL,
					   "certificate %s was not waited for", serial);
			break;
		}
		if (!atlas_cert_fetch(atlas, serial, answer, error))
			break;
	}
	/* Named by its serial, it waits as a pending one, not as one to be handed in. */
	if (answer->status == HANDLER_RETRY)
		answer->status = HANDLER_PENDING;
	g_free(answer->handle);
	answer->handle = g_strconcat("serial ", serial, NULL);
}

/* --- after a lost answer --- */

/* Has this serial our key? Where that cannot be told, nothing may be asked for again. */
static enum lost_look
look_at(struct atlas *atlas, const char *serial, const char *spki_sha256,
	struct handler_answer *answer, GError **error)
{
	g_autofree char *status = NULL;
	CLEANUP(http_answer) struct http_answer *got = get_cert(atlas, serial, answer, error);
	CLEANUP(cert) struct cert *cert = got != NULL ? read_cert(got, &status) : NULL;

	if (got == NULL)
		return LOST_FAILED;
	if (cert != NULL)
		return strcmp(cert_spki_sha256(cert), spki_sha256) == 0 ? LOST_FOUND : LOST_NONE;
	if (got->status == 404)
		return LOST_NONE;
	atlas_judge(atlas, got, FALSE, answer);
	peer_soften(answer);
	return LOST_FAILED;
}

static enum lost_look
look_page(struct atlas *atlas, const struct request_row *request, const json_t *page,
	  struct handler_answer *answer, GError **error)
{
	size_t i;
	json_t *row;

	json_array_foreach(page, i, row)
	{
		const char *serial = peer_json_text(row, "serial_number", SERIAL_MAX_DIGITS);

		if (serial == NULL || !atlas_serial_is(serial))
			continue;
		enum lost_look found = look_at(atlas, serial, request->spki_sha256, answer, error);
		if (found == LOST_FAILED)
			return LOST_FAILED;
		if (found != LOST_FOUND)
			continue;
		g_autofree char *handle = g_strconcat("serial ", serial, NULL);
		if (handler_save_handle(atlas->session.context, handle, error))
			atlas_cert_pick_up(atlas, serial, answer, error);
		return LOST_FOUND;
	}
	return LOST_NONE;
}

/* Among what the account issued since we asked. */
enum lost_look
atlas_cert_find(struct atlas *atlas, const struct request_row *request, gint64 since,
		struct handler_answer *answer, GError **error)
{
	for (int page = 1; page <= LOOK_MAX / LOOK_PAGE; page++) {
		g_autofree char *path =
		    g_strdup_printf("/stats/issued?page=%d&per_page=%d&from=%" G_GINT64_FORMAT
				    "&to=%" G_GINT64_FORMAT,
				    page, LOOK_PAGE, since - LOOK_SKEW, since + LOOK_WINDOW);
		CLEANUP(http_answer)
		struct http_answer *got = atlas_say(atlas, "GET", path, NULL, FALSE, answer, error);

		if (got == NULL)
			return LOST_FAILED;
		if (got->status == 403 || got->status == 404)
			return LOST_BLIND;
		json_t *rows = got->status == 200 ? peer_json(got, NULL) : NULL;
		if (!json_is_array(rows)) {
			json_decref(rows);
			atlas_judge(atlas, got, FALSE, answer);
			peer_soften(answer);
			return LOST_FAILED;
		}
		size_t count = json_array_size(rows);
		enum lost_look found = look_page(atlas, request, rows, answer, error);
		json_decref(rows);
		if (found != LOST_NONE || count < LOOK_PAGE)
			return found;
	}
	return LOST_BLIND;
}

gboolean
atlas_cert_is_revoked(struct atlas *atlas, const char *serial)
{
	struct handler_answer unused = { 0 };
	g_autoptr(GError) why = NULL;
	g_autofree char *status = NULL;
	CLEANUP(http_answer) struct http_answer *got = get_cert(atlas, serial, &unused, &why);
	CLEANUP(cert) struct cert *cert = got != NULL ? read_cert(got, &status) : NULL;

	handler_answer_clear(&unused);
	return cert != NULL && g_strcmp0(status, "REVOKED") == 0;
}
