/* envelope - see envelope.h. */
#include "milter/envelope.h"

#include <string.h>

static void
recipient_free(gpointer data)
{
	struct envelope_recipient *recipient = data;

	g_free(recipient->argument);
	g_free(recipient->address);
	g_free(recipient->parameters);
	g_free(recipient);
}

struct envelope *
envelope_new(void)
{
	struct envelope *envelope = g_new0(struct envelope, 1);

	envelope->sender = g_strdup("");
	envelope->sender_argument = g_strdup("<>");
	envelope->queue_id = g_strdup("");
	envelope->recipients = g_ptr_array_new_with_free_func(recipient_free);
	return envelope;
}

void
envelope_free(struct envelope *envelope)
{
	if (envelope == NULL)
		return;
	g_free(envelope->client_address);
	g_free(envelope->client_name);
	g_free(envelope->daemon_name);
	g_free(envelope->login);
	g_free(envelope->sender);
	g_free(envelope->sender_argument);
	g_free(envelope->sender_parameters);
	g_free(envelope->queue_id);
	g_ptr_array_unref(envelope->recipients);
	g_free(envelope);
}

char *
envelope_bare_address(const char *argument)
{
	gsize length;

	while (g_ascii_isspace(*argument))
		argument++;
	length = strlen(argument);
	while (length > 0 && g_ascii_isspace(argument[length - 1]))
		length--;
	if (length >= 2 && argument[0] == '<' && argument[length - 1] == '>')
		return g_strndup(argument + 1, length - 2);
	return g_strndup(argument, length);
}

void
envelope_set_sender(struct envelope *envelope, const char *argument, const char *parameters)
{
	g_free(envelope->sender);
	g_free(envelope->sender_argument);
	g_free(envelope->sender_parameters);
	envelope->sender = envelope_bare_address(argument);
	envelope->sender_argument = g_strdup(argument);
	envelope->sender_parameters = g_strdup(parameters);
}

void
envelope_add_recipient(struct envelope *envelope, const char *argument, const char *parameters)
{
	struct envelope_recipient *recipient = g_new0(struct envelope_recipient, 1);

	recipient->argument = g_strdup(argument);
	recipient->address = envelope_bare_address(argument);
	recipient->parameters = g_strdup(parameters);
	g_ptr_array_add(envelope->recipients, recipient);
}
