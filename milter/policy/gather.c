/* gather - see gather.h. The recipients' half is gather_recipient.c. */
#include "milter/policy/gather.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/foreign.h"
#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "milter/mime/author.h"
#include "milter/mime/protect.h"
#include "milter/policy/author_check.h"
#include "milter/policy/gathering.h"
#include "milter/policy/origin.h"
#include "milter/policy/triggers.h"
#include "milter/reading.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/key.h"
#include "pki/keyring.h"
#include "pki/select.h"
#include "store/base/error.h"
#include "store/config/settings.h"

/* The values of the preferences are taken over by their place in the list. */
#define SAME_ORDER(preference, id, last)                                                           \
	G_STATIC_ASSERT(VALUE_##id - VALUE_##preference == (int)(last))
SAME_ORDER(ENCRYPT_MODE_NONE, ENCRYPT_MODE_FORCE, ENCRYPT_FORCE);
SAME_ORDER(SIGN_MODE_NEVER, SIGN_MODE_REQUIRED, SIGN_REQUIRED);
SAME_ORDER(REPLY_ENCRYPT_OFF, REPLY_ENCRYPT_FORCE, REPLY_FORCE);
SAME_ORDER(ACCEPT_FOREIGN_ENCRYPTION_PARSED, ACCEPT_FOREIGN_ENCRYPTION_NO, ACCEPT_FOREIGN_NO);
SAME_ORDER(TRIGGER_WHEN_OFF_IGNORE, TRIGGER_WHEN_OFF_REFUSE, TRIGGER_OFF_REFUSE);
SAME_ORDER(ON_REFUSE_RECIPIENT, ON_REFUSE_MESSAGE, ON_REFUSE_MESSAGE);
SAME_ORDER(HEADER_PROTECTION_OFF, HEADER_PROTECTION_SIGNED_AND_ENCRYPTED,
	   HEADERS_SIGNED_AND_ENCRYPTED);
SAME_ORDER(DIGEST_SHA256, DIGEST_SHA512, DIGEST_SHA512);

/* What signing and encrypting add at most, before base64: certificates, signature, headers. */
#define SIGNATURE_BYTES 16384
#define ENVELOPE_BYTES 4096
#define RECIPIENT_BYTES 1024

/* As a quoted string: <a@b@corp> means "a@b" at corp to an MTA that takes it. */
static struct mailaddr *
address_quoted(const char *text, const char *at)
{
	g_autoptr(GString) quoted = g_string_new("\"");

	for (; text < at; text++) {
		if (*text == '"' || *text == '\\')
			g_string_append_c(quoted, '\\');
		g_string_append_c(quoted, *text);
	}
	g_string_append_printf(quoted, "\"%s", at);
	return mailaddr_parse(quoted->str, NULL);
}

/* What the MTA takes and we cannot read still belongs to a domain, whose preferences must not be
 * lost over it. NULL: not even that. */
static struct mailaddr *
address_of(const char *text)
{
	struct mailaddr *address = mailaddr_parse(text, NULL);
	const char *at = strrchr(text, '@');
	g_autofree char *nobody = NULL;

	if (address != NULL || at == NULL)
		return address;
	address = address_quoted(text, at);
	if (address != NULL)
		return address;
	nobody = g_strconcat("\"malformed address\"", at, NULL);
	return mailaddr_parse(nobody, NULL);
}

static void
gather_addresses(struct gathering *g)
{
	const struct envelope *envelope = g->source->envelope;
	struct gathered *found = g->found;

	found->author = author_find(g->source->headers, &found->author_why);
	found->sender = address_of(envelope->sender);
	for (guint i = 0; i < envelope->recipients->len; i++) {
		const struct envelope_recipient *to = g_ptr_array_index(envelope->recipients, i);
		struct gathered_recipient *recipient = g_new0(struct gathered_recipient, 1);

		recipient->written = to->address;
		recipient->address = address_of(to->address);
		recipient->certificates =
		    g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
		g_ptr_array_add(found->recipients, recipient);
	}
}

/* One query for all addresses that the cache does not know. */
static gboolean
prefetch(struct gathering *g, GError **error)
{
	g_autoptr(GPtrArray) keys = g_ptr_array_new();

	if (g->found->author != NULL)
		g_ptr_array_add(keys, (gpointer)mailaddr_key(g->found->author));
	if (g->found->sender != NULL)
		g_ptr_array_add(keys, (gpointer)mailaddr_key(g->found->sender));
	for (guint i = 0; i < g->found->recipients->len; i++) {
		struct gathered_recipient *recipient = g_ptr_array_index(g->found->recipients, i);

		if (recipient->address != NULL)
			g_ptr_array_add(keys, (gpointer)mailaddr_key(recipient->address));
	}
	return keys->len == 0 ||
	       preferences_prefetch(g->gateway->preferences, (const char *const *)keys->pdata,
				    keys->len, error);
}

static gboolean
is_internal(const struct preference_set *set)
{
	return preference_choice(set, PREF_LOCALITY) == VALUE_LOCALITY_INTERNAL;
}

/* A list's envelope sender is ours, its letters are not: with an author from outside they are
 * relayed. */
static gboolean
is_list_mail(const struct headers *headers)
{
	const char *precedence = headers_value(headers, "Precedence");
	g_autofree char *word = precedence != NULL ? g_strstrip(g_strdup(precedence)) : NULL;

	return headers_value(headers, "List-Id") != NULL ||
	       (word != NULL && g_ascii_strcasecmp(word, "list") == 0);
}

static gboolean
is_report(const struct headers *headers)
{
	const char *type = headers_value(headers, "Content-Type");
	g_autofree char *word = type != NULL ? g_strstrip(g_strdup(type)) : g_strdup("");

	return g_ascii_strncasecmp(word, "multipart/report", strlen("multipart/report")) == 0;
}

/* Nobody gets a notice about mail that he did not write, or only seems to have written. */
static gboolean
is_told(const struct gathering *g)
{
	return g->found->facts.origin == ORIGIN_TRUSTED && g->sender_internal &&
	       !is_report(g->source->headers) && !gather_is_automatic(g->source->headers) &&
	       !is_list_mail(g->source->headers);
}

/* Whose preferences speak for the sending side, and who of it is ours. */
static gboolean
gather_side(struct gathering *g, GError **error)
{
	struct gathered *found = g->found;
	struct preference_cache *cache = g->gateway->preferences;
	CLEANUP(preference_set) struct preference_set *author = NULL;
	CLEANUP(preference_set) struct preference_set *sender = NULL;
	gboolean same = found->author != NULL && found->sender != NULL &&
			mailaddr_equal(found->author, found->sender);

	if (found->author != NULL) {
		author = preferences_resolve(cache, mailaddr_key(found->author), error);
		if (author == NULL)
			return FALSE;
		g->author_internal = is_internal(author);
	}
	if (found->sender != NULL) {
		sender = preferences_resolve(cache, mailaddr_key(found->sender), error);
		if (sender == NULL)
			return FALSE;
		g->sender_internal = is_internal(sender);
	}
	if (found->facts.origin == ORIGIN_TRUSTED && author != NULL && !g->author_internal &&
	    is_list_mail(g->source->headers))
		g->sender_internal = FALSE;
	found->facts.sender_internal = g->author_internal || g->sender_internal;
	found->sender_told = is_told(g);
	if (author != NULL)
		found->side.sets[found->side.count++] = g_steal_pointer(&author);
	if (sender != NULL && !same && (found->side.count == 0 || g->sender_internal))
		found->side.sets[found->side.count++] = g_steal_pointer(&sender);
	if (found->side.count > 0)
		return TRUE;
	found->side.sets[0] = preferences_resolve(cache, NULL, error);
	if (found->side.sets[0] == NULL)
		return FALSE;
	found->side.count = 1;
	return TRUE;
}

static void
side_facts(struct gathering *g)
{
	const struct side *side = &g->found->side;
	struct message_facts *m = &g->found->facts;

	m->smime = side_on(side, PREF_SMIME);
	m->encrypt_mode = (enum encrypt_mode)(side_encrypt_mode(side) - VALUE_ENCRYPT_MODE_NONE);
	m->sign_mode = (enum sign_mode)(side_sign_mode(side) - VALUE_SIGN_MODE_NEVER);
	m->reply_encrypt =
	    (enum reply_encrypt)(side_choice(side, PREF_REPLY_ENCRYPT) - VALUE_REPLY_ENCRYPT_OFF);
	m->protect_internal = side_on(side, PREF_PROTECT_INTERNAL);
	m->trigger_when_off = (enum trigger_when_off)(side_choice(side, PREF_TRIGGER_WHEN_OFF) -
						      VALUE_TRIGGER_WHEN_OFF_IGNORE);
	m->accept_foreign =
	    (enum accept_foreign)(side_choice(side, PREF_ACCEPT_FOREIGN_ENCRYPTION) -
				  VALUE_ACCEPT_FOREIGN_ENCRYPTION_PARSED);
	m->digest = (enum copy_digest)(side_choice(side, PREF_DIGEST) - VALUE_DIGEST_SHA256);
	m->include_chain = side_on(side, PREF_INCLUDE_CHAIN);
	m->header_protection = (enum header_protection)(side_choice(side, PREF_HEADER_PROTECTION) -
							VALUE_HEADER_PROTECTION_OFF);
	m->observe = side_is_observed(side);
	g->found->on_refuse =
	    (enum on_refuse)(side_choice(side, PREF_ON_REFUSE) - VALUE_ON_REFUSE_RECIPIENT);
	g->found->trigger_remove = side_on(side, PREF_TRIGGER_REMOVE);
}

/* An upper bound: what is only wanted if possible must not fail afterwards for its size. */
static void
size_facts(struct gathering *g)
{
	const struct structure_facts *structure = g->source->structure;
	struct message_facts *m = &g->found->facts;
	guint64 base64_percent = 137; /* 78 octets a line for 57 */
	guint64 inner = structure->size_bytes;
	guint64 envelope = ENVELOPE_BYTES + RECIPIENT_BYTES * (guint64)g->found->recipients->len;
	guint64 limit = side_size_max(&g->found->side, PREF_MAX_SIZE);
	gint64 mta = g->settings->message_size_max;

	if (m->header_protection != HEADERS_OFF || g->any_header_protection)
		inner += protect_growth(headers_size(g->source->headers), inner);
	m->sizes.encrypted_bytes = (inner + envelope) * base64_percent / 100;
	if (structure->reencode || g->any_opaque)
		inner = inner * base64_percent / 100;
	m->sizes.signed_bytes = inner + SIGNATURE_BYTES;
	m->sizes.both_bytes = (m->sizes.signed_bytes + envelope) * base64_percent / 100;
	m->size_max_bytes = limit;
	if (mta > 0 && (limit == 0 || (guint64)mta < limit))
		m->size_max_bytes = (guint64)mta;
}

static void
author_facts(struct gathering *g)
{
	struct gathered *found = g->found;
	const struct envelope *envelope = g->source->envelope;
	struct author_question question = {
		.author = found->author,
		.preferences = found->side.sets[0],
		.check = side_choice(&found->side, PREF_AUTHOR_CHECK),
		.author_internal = g->author_internal,
		.resent = author_is_resent(g->source->headers),
		.login = envelope->login,
		.sender = envelope->sender,
		.sender_address = found->sender,
		.sender_internal = g->sender_internal,
		.delimiter = *g->settings->recipient_delimiter,
	};

	/* From outside nobody is logged in, whatever From says. */
	found->facts.author =
	    found->facts.origin == ORIGIN_TRUSTED ? author_check(&question) : AUTHOR_NO_LOGIN;
}

/* Somebody else's signature is looked at only where there must be one. */
static enum able
foreign_able(const struct gathering *g)
{
	const struct message_facts *m = &g->found->facts;

	if (m->arrived != ARRIVED_SIGNED || g->source->structure->tree == NULL ||
	    m->author != AUTHOR_CONFIRMED || (m->sign_mode != SIGN_REQUIRED && !m->sign_trigger))
		return ABLE_NO;
	return foreign_signature(g->gateway, g->source->structure->tree, g->found->author);
}

static gboolean
message_facts(struct gathering *g, GError **error)
{
	const struct structure_facts *structure = g->source->structure;
	struct message_facts *m = &g->found->facts;
	struct triggers_found triggers = { FALSE, FALSE, FALSE };

	if (m->origin == ORIGIN_TRUSTED && !triggers_find(g->gateway->triggers, &g->found->side,
							  g->source->headers, &triggers, error))
		return FALSE;
	m->encrypt_trigger = triggers.encrypt;
	m->sign_trigger = triggers.sign;
	m->plain_trigger = triggers.plain;
	m->calendar = structure->calendar;
	m->arrived = structure->arrived;
	m->foreign_signature = foreign_able(g);
	m->content_type_ambiguous = structure->content_type_ambiguous;
	/* From outside a label does not spare anybody a refusal. */
	m->null_sender = *g->source->envelope->sender == '\0' ||
			 (m->origin == ORIGIN_TRUSTED && structure->report);
	m->sign_bounces = g->settings->sign_bounces;
	return TRUE;
}

/* Intermediates of the signer's path: neither himself nor the root, which readers must have. */
static void
signer_chain(struct gathered *found)
{
	for (guint i = 0; i < found->signing->candidates->len; i++) {
		const struct candidate *candidate =
		    g_ptr_array_index(found->signing->candidates, i);

		if (!candidate->used || !cert_equal(candidate->cert, found->signer))
			continue;
		for (guint n = 1;
		     candidate->verdict->path != NULL && n < candidate->verdict->path->len; n++) {
			struct cert *cert = g_ptr_array_index(candidate->verdict->path, n);

			if (!cert_is_self_issued(cert))
				g_ptr_array_add(found->signer_chain, cert_ref(cert));
		}
		return;
	}
}

/* A key that is there and does not open is unknown, not absent: somebody has to mend that. */
static enum able
signer_able(struct gathering *g)
{
	struct gathered *found = g->found;
	g_autoptr(GError) error = NULL;
	struct cert *cert;

	found->signing = select_signing(g->gateway->select, found->author, &error);
	if (found->signing == NULL) {
		found->signer_note = g_strdup(error->message);
		return ABLE_UNKNOWN;
	}
	if (found->signing->used->len == 0) {
		found->signer_note = g_strdup(found->signing->why);
		return selection_able(found->signing);
	}
	cert = g_ptr_array_index(found->signing->used, 0);
	found->signer_key = keyring_find(g->gateway->keyring, cert_spki_sha256(cert), &error);
	if (found->signer_key == NULL) {
		found->signer_note = g_strdup(error->message);
		return g_error_matches(error, PS_ERROR, PS_ERROR_NOT_FOUND) ? ABLE_NO
									    : ABLE_UNKNOWN;
	}
	found->signer = cert_ref(cert);
	signer_chain(found);
	return ABLE_YES;
}

static void
gather_signer(struct gathering *g)
{
	struct message_facts *m = &g->found->facts;

	m->signer = ABLE_NO;
	if (m->author != AUTHOR_CONFIRMED || m->arrived != ARRIVED_PLAIN)
		return;
	g->found->signer_asked = m->sign_mode != SIGN_NEVER;
	if (g->found->signer_asked || g->source->look_up_all)
		m->signer = signer_able(g);
}

static void
recipient_free(gpointer data)
{
	struct gathered_recipient *recipient = data;

	mailaddr_unref(recipient->address);
	preference_set_unref(recipient->preferences);
	selection_unref(recipient->selection);
	selection_unref(recipient->additional);
	g_ptr_array_unref(recipient->certificates);
	g_free(recipient->note);
	g_free(recipient->inbound_note);
	if (recipient->keys != NULL)
		g_ptr_array_unref(recipient->keys);
	g_free(recipient);
}

static void
opening_free(gpointer data)
{
	struct opening *opening = data;

	reading_free(opening->reading);
	entity_free(opening->defused);
	entity_free(opening->bare_defused);
	g_free(opening);
}

static gboolean
gather_all(struct gathering *g, GError **error)
{
	struct gathered *found = g->found;

	found->facts.origin = origin_judge(gateway_origin_rules(g->gateway), g->source->envelope,
					   g->source->reinjected, &found->origin_why);
	gather_addresses(g);
	if (!prefetch(g, error) || !gather_side(g, error))
		return FALSE;
	side_facts(g);
	author_facts(g);
	if (!message_facts(g, error) || !gather_recipient_preferences(g, error))
		return FALSE;
	size_facts(g);
	gather_answer(g);
	gather_signer(g);
	gather_request(g);
	gather_recipient_certificates(g);
	return gather_inbound(g, error);
}

struct gathered *
gather(struct gateway *gateway, const struct message_source *source, GError **error)
{
	CLEANUP(gathered) struct gathered *found = g_new0(struct gathered, 1);
	struct gathering g = {
		.gateway = gateway,
		.settings = gateway_settings(gateway),
		.source = source,
		.found = found,
	};
	gboolean complete;

	found->recipients = g_ptr_array_new_with_free_func(recipient_free);
	found->signer_chain = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	found->own = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	found->openings = g_ptr_array_new_with_free_func(opening_free);
	found->tags = g_ptr_array_new_with_free_func(g_free);
	complete = gather_all(&g, error);
	g_clear_pointer(&g.named, g_hash_table_unref);
	g_clear_pointer(&g.additional_sets, g_hash_table_unref);
	return complete ? g_steal_pointer(&found) : NULL;
}

void
gathered_free(struct gathered *gathered)
{
	if (gathered == NULL)
		return;
	mailaddr_unref(gathered->author);
	mailaddr_unref(gathered->sender);
	side_clear(&gathered->side);
	selection_unref(gathered->signing);
	selection_unref(gathered->additional);
	cert_unref(gathered->signer);
	key_unref(gathered->signer_key);
	g_ptr_array_unref(gathered->signer_chain);
	g_ptr_array_unref(gathered->own);
	g_ptr_array_unref(gathered->recipients);
	g_ptr_array_unref(gathered->openings);
	g_ptr_array_unref(gathered->tags);
	g_free(gathered->signer_note);
	g_free(gathered);
}
