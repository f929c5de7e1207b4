/* parcel - see parcel.h. */
#include "milter/parcel.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/mime/compose.h"

#define TOP_BYTES 768 /* what our fields may add to the size that is announced */
#define ADDRESS_MAX_BYTES 64

/* ---- what it needs -------------------------------------------------------------------------- */

struct survey {
	struct sink sink;
	guint64 size;
	guint64 bare_lines; /* LF without CR: it leaves with one */
	gboolean eight_bit;
	gboolean cr;
};

static gboolean
survey_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct survey *survey = (struct survey *)self;
	const guint8 *at = bytes;
	guint8 seen = 0;

	(void)error;
	for (gsize i = 0; i < length; i++) {
		seen |= at[i];
		survey->bare_lines += at[i] == '\n' && !(i > 0 ? at[i - 1] == '\r' : survey->cr);
	}
	if (length > 0)
		survey->cr = at[length - 1] == '\r';
	survey->eight_bit |= (seen & 0x80) != 0;
	survey->size += length;
	return TRUE;
}

struct parcel *
parcel_new(struct edits *edits, struct headers *headers, struct spool *body, GError **error)
{
	struct survey survey = { .sink = { survey_write } };
	struct parcel *parcel;

	if (!edits_apply_to_message(edits, headers, body, &survey.sink, error))
		return NULL;
	parcel = g_new0(struct parcel, 1);
	parcel->edits = edits;
	parcel->headers = headers;
	parcel->body = body;
	parcel->size = survey.size + survey.bare_lines + TOP_BYTES;
	parcel->eight_bit = survey.eight_bit;
	return parcel;
}

/* ---- whom it is for ------------------------------------------------------------------------- */

char *
parcel_parameter(const char *parameters, const char *keyword)
{
	gsize length = strlen(keyword);

	while (parameters != NULL && *parameters != '\0') {
		gsize token = strcspn(parameters, " ");

		if (token >= length && g_ascii_strncasecmp(parameters, keyword, length) == 0 &&
		    (token == length || parameters[length] == '='))
			return g_strndup(parameters + length + (token > length),
					 token - length - (token > length));
		parameters += token + strspn(parameters + token, " ");
	}
	return NULL;
}

static gboolean
is_ascii(const char *text)
{
	return text == NULL || g_str_is_ascii(text);
}

/* As it came where it came with brackets; else what sendmail(1) was given, whose local part may
 * need quotes in SMTP. */
static char *
path_of(const char *argument, const char *address)
{
	const char *at = strrchr(address, '@');
	gsize local = at != NULL ? (gsize)(at - address) : strlen(address);
	GString *path;
	gsize i = 0;

	if (argument[0] == '<')
		return g_strdup(argument);
	while (i < local && (g_ascii_isalnum(address[i]) || (guchar)address[i] > 127 ||
			     strchr("!#$%&'*+-/=?^_`{|}~.", address[i]) != NULL))
		i++;
	if (i == local || address[0] == '"')
		return g_strdup_printf("<%s>", address);
	path = g_string_new("<\"");
	for (i = 0; i < local; i++) {
		if (address[i] == '"' || address[i] == '\\')
			g_string_append_c(path, '\\');
		g_string_append_c(path, address[i]);
	}
	g_string_append_printf(path, "\"%s>", address + local);
	return g_string_free(path, FALSE);
}

static void
recipient_free(gpointer data)
{
	struct parcel_recipient *recipient = data;

	g_free(recipient->address);
	g_free(recipient->bare);
	g_free(recipient->notify);
	g_free(recipient->orcpt);
	g_free(recipient);
}

static struct parcel_recipient *
add_recipient(struct parcel *parcel, const char *argument, const char *bare)
{
	struct parcel_recipient *recipient = g_new0(struct parcel_recipient, 1);

	recipient->address = path_of(argument, bare);
	recipient->bare = g_strdup(bare);
	g_ptr_array_add(parcel->recipients, recipient);
	parcel->utf8 |= !is_ascii(bare);
	return recipient;
}

static void
prepare(struct parcel *parcel)
{
	parcel->members = g_array_new(FALSE, FALSE, sizeof(guint));
	parcel->recipients = g_ptr_array_new_with_free_func(recipient_free);
}

void
parcel_address(struct parcel *parcel, const struct envelope *envelope, const GArray *indices)
{
	const char *parameters = envelope->sender_parameters;
	g_autofree char *utf8 = parcel_parameter(parameters, "SMTPUTF8");

	prepare(parcel);
	parcel->sender = path_of(envelope->sender_argument, envelope->sender);
	parcel->ret = parcel_parameter(parameters, "RET");
	parcel->envid = parcel_parameter(parameters, "ENVID");
	/* Once everything is ASCII nothing asks for it, and the next hop may not know it. */
	parcel->utf8 = !is_ascii(envelope->sender) || (utf8 != NULL && parcel->eight_bit);
	for (guint i = 0; i < indices->len; i++) {
		guint index = g_array_index(indices, guint, i);
		const struct envelope_recipient *from =
		    g_ptr_array_index(envelope->recipients, index);
		struct parcel_recipient *to = add_recipient(parcel, from->argument, from->address);

		to->notify = parcel_parameter(from->parameters, "NOTIFY");
		to->orcpt = parcel_parameter(from->parameters, "ORCPT");
		parcel->utf8 |= !is_ascii(to->orcpt);
		g_array_append_val(parcel->members, index);
	}
}

void
parcel_address_notice(struct parcel *parcel, const char *recipient)
{
	guint nobody = G_MAXUINT;

	prepare(parcel);
	parcel->sender = g_strdup("<>");
	add_recipient(parcel, recipient, recipient);
	g_array_append_val(parcel->members, nobody);
}

void
parcel_free(struct parcel *parcel)
{
	if (parcel == NULL)
		return;
	g_free(parcel->sender);
	g_free(parcel->ret);
	g_free(parcel->envid);
	g_clear_pointer(&parcel->members, g_array_unref);
	g_clear_pointer(&parcel->recipients, g_ptr_array_unref);
	g_free(parcel);
}

struct smtp_envelope
parcel_envelope(const struct parcel *parcel, guint first, guint count, struct smtp_recipient *to)
{
	for (guint i = 0; i < count; i++) {
		const struct parcel_recipient *recipient =
		    g_ptr_array_index(parcel->recipients, first + i);

		to[i] = (struct smtp_recipient){ recipient->address, recipient->notify,
						 recipient->orcpt };
	}
	return (struct smtp_envelope){
		.sender = parcel->sender,
		.size = parcel->size,
		.eight_bit = parcel->eight_bit,
		.utf8 = parcel->utf8,
		.dsn = parcel->headers_only,
		.ret = parcel->headers_only ? "HDRS" : parcel->ret,
		.envid = parcel->envid,
		.recipients = to,
		.count = count,
	};
}

/* ---- its bytes ------------------------------------------------------------------------------ */

struct spool *
parcel_body(const struct parcel *parcel)
{
	struct spool *body = edits_body(parcel->edits);

	return body != NULL ? body : parcel->body;
}

gboolean
parcel_write(struct parcel *parcel, const char *top, struct sink *to, GError **error)
{
	return sink_write(to, top, strlen(top), error) &&
	       edits_apply_to_message(parcel->edits, parcel->headers, parcel->body, to, error);
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]"; NULL for what is no address. */
static char *
literal(const char *address)
{
	if (address == NULL || *address == '\0' || strlen(address) > ADDRESS_MAX_BYTES ||
	    strspn(address, "0123456789abcdefABCDEF.:IPv") != strlen(address))
		return NULL;
	return g_strdup_printf(
	    "[%s%s]", strchr(address, ':') != NULL && address[0] != 'I' ? "IPv6:" : "", address);
}

char *
parcel_received(const struct envelope *envelope, const char *host, gint64 now)
{
	const char *client = envelope->client_name;
	g_autofree char *address = literal(envelope->client_address);
	g_autofree char *name =
	    compose_host(client != NULL && client[0] != '[' ? client : "unknown");
	g_autofree char *by = compose_host(host);
	g_autofree char *id =
	    compose_host(*envelope->queue_id != '\0' ? envelope->queue_id : "none");
	g_autofree char *date = compose_date(now);
	g_autofree char *value = NULL;
	GString *field = g_string_new(NULL);

	value = address != NULL
		    ? g_strdup_printf("from %s (%s) by %s (Postseal) id %s; %s", name, address, by,
				      id, date)
		    : g_strdup_printf("from %s by %s (Postseal) id %s; %s", name, by, id, date);
	compose_field(field, "Received", value);
	return g_string_free(field, FALSE);
}
