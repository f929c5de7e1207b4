/*
 * acme_mail - from the cheapest question to the dearest; see acme_mail.h.
 */
#include "milter/acme_mail.h"

#include <string.h>

#include "milter/dkim.h"
#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "milter/mime/author.h"
#include "milter/policy/side.h"
#include "milter/session.h"
#include "store/acme_mails.h"
#include "store/base/mailaddr.h"
#include "store/config/settings.h"
#include "store/preferences.h"

#define SUBJECT_PREFIX "ACME:"
#define TOKEN_MIN 22 /* 128 bits in base64url (RFC 8823 section 3.1) */
#define TOKEN_MAX 512

/* Who could change one of these could change what the mail means. */
static const char *const covered[] = { "From",
				       "Sender",
				       "Reply-To",
				       "To",
				       "Cc",
				       "Subject",
				       "Date",
				       "In-Reply-To",
				       "References",
				       "Message-ID",
				       "Auto-Submitted",
				       "Content-Type",
				       "Content-Transfer-Encoding",
				       NULL };

struct candidate {
	char *token, *message_id, *subject;
	struct mailaddr *mailbox, *from, *reply_to;
};

static void
candidate_clear(struct candidate *candidate)
{
	g_free(candidate->token);
	g_free(candidate->message_id);
	g_free(candidate->subject);
	mailaddr_unref(candidate->mailbox);
	mailaddr_unref(candidate->from);
	mailaddr_unref(candidate->reply_to);
}

/* The token of a Subject, which may be folded anywhere in it; NULL: is none. */
static char *
token_of(const char *subject)
{
	g_autoptr(GString) token = g_string_new(NULL);

	subject += strspn(subject, " \t\n");
	if (g_ascii_strncasecmp(subject, SUBJECT_PREFIX, strlen(SUBJECT_PREFIX)) != 0)
		return NULL;
	for (subject += strlen(SUBJECT_PREFIX); *subject != '\0'; subject++) {
		if (strchr(" \t\n", *subject) != NULL)
			continue;
		gboolean padding =
		    *subject == '=' && subject[1 + strspn(subject + 1, "= \t\n")] == '\0';
		if (!g_ascii_isalnum(*subject) && strchr("-_", *subject) == NULL && !padding)
			return NULL;
		g_string_append_c(token, *subject);
	}
	/* Padding is not the RFC's way, and harmless. */
	while (token->len > 0 && token->str[token->len - 1] == '=')
		g_string_truncate(token, token->len - 1);
	if (token->len < TOKEN_MIN || token->len > TOKEN_MAX)
		return NULL;
	return g_string_free(g_steal_pointer(&token), FALSE);
}

/* What the look at one field and the envelope says. */
static gboolean
looks_like_one(const struct session_message *message, struct candidate *candidate)
{
	const GPtrArray *recipients = message->envelope->recipients;
	const char *subject = headers_value(message->headers, "Subject");

	if (subject == NULL || recipients->len != 1 ||
	    headers_count_of(message->headers, "Subject") != 1)
		return FALSE;
	candidate->token = token_of(subject);
	if (candidate->token == NULL)
		return FALSE;
	const struct envelope_recipient *recipient = recipients->pdata[0];
	candidate->subject = header_unfolded(subject);
	candidate->mailbox = mailaddr_parse(recipient->address, NULL);
	return candidate->mailbox != NULL;
}

static struct mailaddr *
only_mailbox(const struct headers *headers, const char *name)
{
	const struct header *field = headers_find(headers, name, 1);

	return field != NULL && headers_count_of(headers, name) == 1
		   ? author_parse(field->value, field->length, NULL)
		   : NULL;
}

static gboolean
is_automatic(const struct headers *headers)
{
	const char *value = headers_value(headers, "Auto-Submitted");

	if (value == NULL || headers_count_of(headers, "Auto-Submitted") != 1)
		return FALSE;
	value += strspn(value, " \t\n");
	return g_ascii_strncasecmp(value, "auto-generated", 14) == 0 &&
	       (value[14] == '\0' || strchr("; \t\n", value[14]) != NULL);
}

static char *
message_id_of(const struct headers *headers)
{
	const char *value = headers_value(headers, "Message-ID");

	if (value == NULL || headers_count_of(headers, "Message-ID") != 1)
		return NULL;
	g_autofree char *id = header_unfolded(value);
	gsize length = strlen(id);

	if (length < 5 || length > 512 || id[0] != '<' || id[length - 1] != '>' ||
	    strpbrk(id, " \t\r\n") != NULL)
		return NULL;
	for (gsize i = 0; i < length; i++) {
		if (!g_ascii_isgraph(id[i]))
			return NULL;
	}
	return g_steal_pointer(&id);
}

/* NULL: its fields are as they have to be (RFC 8823 section 3.1). */
static const char *
wrong_fields(const struct headers *headers, struct candidate *candidate)
{
	CLEANUP(mailaddr) struct mailaddr *to = only_mailbox(headers, "To");

	candidate->from = only_mailbox(headers, "From");
	if (candidate->from == NULL)
		return "From is not one mailbox";
	if (to == NULL || !mailaddr_equal(to, candidate->mailbox))
		return "To is not the mailbox";
	if (!is_automatic(headers))
		return "Auto-Submitted does not say auto-generated";
	candidate->message_id = message_id_of(headers);
	if (candidate->message_id == NULL)
		return "it has no Message-ID that can be answered";
	candidate->reply_to = only_mailbox(headers, "Reply-To");
	if (candidate->reply_to == NULL && headers_value(headers, "Reply-To") != NULL)
		return "Reply-To is not one mailbox";
	return NULL;
}

/* Who is only watched keeps his mail. FALSE: could not be found out. */
static gboolean
find_observed(struct gateway *gateway, const struct mailaddr *mailbox, gboolean *observed)
{
	CLEANUP(preference_set)
	struct preference_set *set =
	    preferences_resolve(gateway->preferences, mailaddr_key(mailbox), NULL);

	*observed = set != NULL && preference_choice(set, PREF_MODE) == VALUE_MODE_OBSERVE;
	return set != NULL;
}

static enum acme_mail
take(struct gateway *gateway, const struct candidate *candidate, const char **why)
{
	const char *reply_to =
	    candidate->reply_to != NULL ? mailaddr_text(candidate->reply_to) : NULL;
	enum acme_take state;

	if (!acme_mails_take(gateway->db, mailaddr_key(candidate->mailbox),
			     mailaddr_key(candidate->from), reply_to, candidate->message_id,
			     candidate->subject, candidate->token, &state, NULL))
		return ACME_MAIL_UNKNOWN;
	switch (state) {
	case ACME_TAKE_TAKEN:
	case ACME_TAKE_AGAIN:
		return ACME_MAIL_TAKEN;
	case ACME_TAKE_EARLY:
		return ACME_MAIL_EARLY;
	case ACME_TAKE_NONE:
		*why = "no open order expects it from there";
		return ACME_MAIL_NOT;
	}
	return ACME_MAIL_UNKNOWN;
}

static enum acme_mail
look(struct gateway *gateway, const struct session_message *message, struct candidate *candidate,
     const char **why)
{
	gboolean waits, observed;

	if (!looks_like_one(message, candidate))
		return ACME_MAIL_NOT;
	if (!acme_mails_waits(gateway->db, mailaddr_key(candidate->mailbox), &waits, NULL))
		return ACME_MAIL_UNKNOWN;
	if (!waits)
		return ACME_MAIL_NOT;
	if (!find_observed(gateway, candidate->mailbox, &observed))
		return ACME_MAIL_UNKNOWN;
	*why =
	    observed ? "the mailbox is only observed" : wrong_fields(message->headers, candidate);
	if (*why != NULL)
		return ACME_MAIL_NOT;
	const struct dkim_question question = {
		.headers = message->headers,
		.body = message->body,
		.domain = mailaddr_domain(candidate->from),
		.fields = covered,
		.key_file = gateway_settings(gateway)->dkim_keys,
	};
	switch (dkim_ask(&question, why)) {
	case DKIM_WORD_VOUCHED:
		*why = NULL;
		return take(gateway, candidate, why);
	case DKIM_WORD_NOT:
		return ACME_MAIL_NOT;
	case DKIM_WORD_UNKNOWN:
		break;
	}
	*why = "the DKIM key cannot be had now";
	return ACME_MAIL_UNKNOWN;
}

enum acme_mail
acme_mail_look(struct gateway *gateway, const struct session_message *message, const char **why)
{
	struct candidate candidate = { 0 };

	*why = NULL;
	enum acme_mail found = look(gateway, message, &candidate, why);
	candidate_clear(&candidate);
	return found;
}
