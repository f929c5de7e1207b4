/*
 * milter_message - one message through a milter_client: sent step by step, edits applied as they
 * come.
 */
#include <string.h>

#include "store/base/error.h"
#include "tests/support/milter_client_internal.h"

#define CHUNK_BYTES 65535u

/* ---- what is sent ---- */

static void
header_free(gpointer data)
{
	struct milter_header *header = data;

	g_free(header->name);
	g_free(header->value);
	g_free(header);
}

void
milter_result_init(struct milter_result *result)
{
	memset(result, 0, sizeof *result);
	result->headers = g_ptr_array_new_with_free_func(header_free);
	result->body = g_byte_array_new();
	result->removed = g_ptr_array_new_with_free_func(g_free);
	result->added = g_ptr_array_new_with_free_func(g_free);
}

void
milter_result_clear(struct milter_result *result)
{
	milter_reply_clear(&result->reply);
	g_clear_pointer(&result->headers, g_ptr_array_unref);
	g_clear_pointer(&result->body, g_byte_array_unref);
	g_clear_pointer(&result->removed, g_ptr_array_unref);
	g_clear_pointer(&result->added, g_ptr_array_unref);
	g_clear_pointer(&result->from, g_free);
	g_clear_pointer(&result->quarantine, g_free);
}

static struct milter_header *
header_new(const char *name, gsize name_length, const char *value, gsize value_length)
{
	struct milter_header *header = g_new(struct milter_header, 1);

	header->name = g_strndup(name, name_length);
	header->value = g_strndup(value, value_length);
	return header;
}

/* The header with its folds as LF; returns where the body starts. */
static const char *
headers_read(GPtrArray *headers, const char *p, const char *end)
{
	while (p < end) {
		const char *line = p, *colon;
		g_autoptr(GString) field = g_string_new(NULL);

		do {
			const char *eol = memchr(p, '\n', (gsize)(end - p));
			const char *stop = eol == NULL ? end : eol;

			if (field->len > 0)
				g_string_append_c(field, '\n');
			g_string_append_len(field, p,
					    stop - p - (stop > p && stop[-1] == '\r' ? 1 : 0));
			p = eol == NULL ? end : eol + 1;
		} while (p < end && (*p == ' ' || *p == '\t') && field->len > 0);
		if (field->len == 0)
			return p;
		colon = strchr(field->str, ':');
		if (colon == NULL)
			return line; /* no header field: the body has begun */
		g_ptr_array_add(headers,
				header_new(field->str, (gsize)(colon - field->str), colon + 1,
					   field->len - (gsize)(colon - field->str) - 1));
	}
	return p;
}

static void
body_read(GByteArray *body, const char *p, const char *end)
{
	while (p < end) {
		const char *eol = memchr(p, '\n', (gsize)(end - p));
		const char *stop = eol == NULL ? end : eol;

		if (eol != NULL && stop > p && stop[-1] == '\r')
			stop--;
		g_byte_array_append(body, (const guint8 *)p, (guint)(stop - p));
		if (eol == NULL)
			return;
		g_byte_array_append(body, (const guint8 *)"\r\n", 2);
		p = eol + 1;
	}
}

static gboolean
header_send(struct milter_client *client, const struct milter_header *header,
	    struct milter_reply *reply, GError **error)
{
	g_autoptr(GByteArray) data = g_byte_array_new();
	const char *value = header->value;

	if (!(client->steps & STEP_LEADING_BLANK) && value[0] == ' ')
		value++;
	g_byte_array_append(data, (const guint8 *)header->name, (guint)strlen(header->name) + 1);
	g_byte_array_append(data, (const guint8 *)value, (guint)strlen(value) + 1);
	return milter_step_send(client, 'L', data->data, data->len, reply, error);
}

static gboolean
goes_on(const struct milter_reply *reply)
{
	return reply->code == 'c' || reply->code == 's';
}

/* ---- modifications ---- */

static char *
with_blank(const struct milter_client *client, const char *value)
{
	return client->steps & STEP_LEADING_BLANK ? g_strdup(value) : g_strconcat(" ", value, NULL);
}

static void
header_change(GPtrArray *headers, guint32 index, const char *name, const char *value)
{
	guint32 seen = 0;

	for (guint i = 0; i < headers->len; i++) {
		struct milter_header *header = g_ptr_array_index(headers, i);

		if (g_ascii_strcasecmp(header->name, name) != 0 || ++seen < index)
			continue;
		if (value[0] == '\0' || strcmp(value, " ") == 0) {
			g_ptr_array_remove_index(headers, i);
			return;
		}
		g_free(header->value);
		header->value = g_strdup(value);
		return;
	}
	if (value[0] != '\0' && strcmp(value, " ") != 0)
		g_ptr_array_add(headers, header_new(name, strlen(name), value, strlen(value)));
}

static void
header_edit(struct milter_client *client, struct milter_result *result)
{
	const guint8 *data = client->packet->data;
	gboolean indexed = data[0] != 'h';
	guint32 index = indexed && client->packet->len >= 5 ? milter_get_u32(data + 1) : 0;
	const char *name = (const char *)data + (indexed ? 5 : 1);
	const char *after = name + strlen(name) + 1;
	const char *value = after < (const char *)data + client->packet->len ? after : "";
	g_autofree char *blank = with_blank(client, value);

	result->header_edits++;
	if (data[0] == 'm') {
		header_change(result->headers, MAX(index, 1), name, blank);
		return;
	}
	g_ptr_array_insert(result->headers,
			   data[0] == 'h' ? -1 : (int)MIN(index, result->headers->len),
			   header_new(name, strlen(name), blank, strlen(blank)));
}

static char *
args_text(const GByteArray *packet)
{
	GString *text = g_string_new((const char *)packet->data + 1);
	gsize at = text->len + 2;

	if (at < packet->len && packet->data[at] != 0)
		g_string_append_printf(text, " %s", (const char *)packet->data + at);
	return g_string_free(text, FALSE);
}

/* One packet of the end of message; TRUE when it was the last. */
static gboolean
modification_take(struct milter_client *client, struct milter_result *result)
{
	GByteArray *packet = client->packet;

	switch (packet->data[0]) {
	case 'h':
	case 'i':
	case 'm':
		header_edit(client, result);
		return FALSE;
	case 'b':
		if (!result->body_replaced)
			g_byte_array_set_size(result->body, 0);
		result->body_replaced = TRUE;
		result->replaced_bytes += packet->len - 1;
		if (!client->discard_body)
			g_byte_array_append(result->body, packet->data + 1, packet->len - 1);
		return FALSE;
	case '-':
		g_ptr_array_add(result->removed, g_strdup((const char *)packet->data + 1));
		return FALSE;
	case '+':
	case '2':
		g_ptr_array_add(result->added, args_text(packet));
		return FALSE;
	case 'e':
		g_free(result->from);
		result->from = args_text(packet);
		return FALSE;
	case 'q':
		g_free(result->quarantine);
		result->quarantine = g_strdup((const char *)packet->data + 1);
		return FALSE;
	case 'p':
		result->progress++;
		return FALSE;
	default:
		milter_reply_take(client, &result->reply);
		return TRUE;
	}
}

static gboolean
body_send(struct milter_client *client, const GByteArray *body, struct milter_reply *reply,
	  GError **error)
{
	for (guint at = 0; at < body->len; at += CHUNK_BYTES) {
		if (!milter_step_send(client, 'B', body->data + at,
				      MIN(CHUNK_BYTES, body->len - at), reply, error))
			return FALSE;
		if (reply->code != 'c')
			return TRUE;
	}
	return TRUE;
}

static gboolean
message_send(struct milter_client *client, gconstpointer message, gsize length,
	     struct milter_result *result, GError **error)
{
	const char *end = (const char *)message + length;
	struct milter_reply *reply = &result->reply;

	body_read(result->body, headers_read(result->headers, message, end), end);
	result->step = 'T';
	if (!milter_client_data(client, reply, error))
		return FALSE;
	for (guint i = 0; goes_on(reply) && i < result->headers->len; i++) {
		result->step = 'L';
		if (!header_send(client, g_ptr_array_index(result->headers, i), reply, error))
			return FALSE;
	}
	if (!goes_on(reply))
		return TRUE;
	result->step = 'N';
	if (!milter_step_send(client, 'N', NULL, 0, reply, error))
		return FALSE;
	if (!goes_on(reply))
		return TRUE;
	result->step = 'B';
	if (!body_send(client, result->body, reply, error))
		return FALSE;
	if (!goes_on(reply))
		return TRUE;
	result->step = 'E';
	milter_reply_clear(reply);
	if (!milter_macros_put(client, 'E', error) ||
	    !milter_packet_put(client, 'E', NULL, 0, error))
		return FALSE;
	if (client->packing)
		return TRUE;
	do {
		if (!milter_packet_get(client, error))
			return FALSE;
	} while (!modification_take(client, result));
	return TRUE;
}

gboolean
milter_client_message(struct milter_client *client, gconstpointer message, gsize length,
		      struct milter_result *result, GError **error)
{
	milter_result_init(result);
	if (message_send(client, message, length, result, error))
		return TRUE;
	milter_result_clear(result);
	return FALSE;
}

gboolean
milter_client_send(struct milter_client *client, const char *from, const char *const *to,
		   gconstpointer message, gsize length, struct milter_result *result,
		   GError **error)
{
	g_autofree char *sender = g_strdup_printf("<%s>", from);
	const char *args[] = { sender, NULL };
	struct milter_reply reply = { 0 };
	char step = 'M';

	if (!milter_client_mail(client, args, &reply, error))
		return FALSE;
	for (; goes_on(&reply) && *to != NULL; to++) {
		g_autofree char *recipient = g_strdup_printf("<%s>", *to);

		step = 'R';
		args[0] = recipient;
		if (!milter_client_rcpt(client, args, &reply, error))
			return FALSE;
	}
	if (goes_on(&reply))
		return milter_client_message(client, message, length, result, error);
	milter_result_init(result);
	result->reply = reply;
	result->step = step;
	return TRUE;
}

GByteArray *
milter_client_pack(struct milter_client *client, const char *from, const char *const *to,
		   gconstpointer message, gsize length)
{
	struct milter_result result;
	GByteArray *packets = NULL;

	if (!milter_out_flush(client, NULL))
		return NULL;
	client->packing = TRUE;
	if (milter_client_send(client, from, to, message, length, &result, NULL)) {
		milter_result_clear(&result);
		packets = client->out;
		client->out = g_byte_array_new();
	}
	client->packing = FALSE;
	g_byte_array_set_size(client->out, 0);
	return packets;
}

gboolean
milter_client_flush(struct milter_client *client, GError **error)
{
	return milter_out_flush(client, error);
}

int
milter_client_fd(const struct milter_client *client)
{
	return client->fd;
}

static void
text_put(GByteArray *out, const char *text)
{
	g_byte_array_append(out, (const guint8 *)text, (guint)strlen(text));
}

GByteArray *
milter_result_message(const struct milter_result *result)
{
	GByteArray *out = g_byte_array_new();

	for (guint i = 0; i < result->headers->len; i++) {
		const struct milter_header *header = g_ptr_array_index(result->headers, i);
		g_auto(GStrv) lines = g_strsplit(header->value, "\n", -1);
		g_autofree char *value = g_strjoinv("\r\n", lines);

		text_put(out, header->name);
		text_put(out, ":");
		text_put(out, value);
		text_put(out, "\r\n");
	}
	text_put(out, "\r\n");
	g_byte_array_append(out, result->body->data, result->body->len);
	return out;
}
