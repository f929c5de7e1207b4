/* ruling - see ruling.h. */
#include "milter/policy/ruling.h"

#include "milter/gateway.h"
#include "milter/message/edits.h"
#include "milter/mime/ours.h"
#include "milter/mime/subject.h"
#include "milter/policy/describe.h"
#include "milter/policy/inbound_summary.h"
#include "milter/policy/triggers.h"
#include "milter/results.h"
#include "pki/crypto/cert.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/mailaddr.h"
#include "store/config/settings.h"

static const struct gathered_recipient *
recipient_at(const struct ruling *ruling, guint index)
{
	return g_ptr_array_index(ruling->gathered->recipients, index);
}

static void
add_once(GPtrArray *certificates, GHashTable *seen, struct cert *cert)
{
	if (g_hash_table_add(seen, (gpointer)cert_thumbprint(cert)))
		g_ptr_array_add(certificates, cert);
}

static gboolean
goes_along(const struct cert *cert, enum copy_keys keys)
{
	return keys == KEYS_MIXED || (cert_key_kind(cert) == KEY_KIND_EC) == (keys == KEYS_EC);
}

/* Recipients first, in their order; then the author's own, of the kind that the copy has. */
static void
group_fill_certificates(const struct ruling *ruling, struct group *group)
{
	g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
	const GPtrArray *own = ruling->gathered->own;

	group->certificates = g_ptr_array_new();
	for (guint i = 0; i < group->members->len; i++) {
		const struct gathered_recipient *recipient =
		    recipient_at(ruling, g_array_index(group->members, guint, i));

		for (guint n = 0; n < recipient->certificates->len; n++)
			add_once(group->certificates, seen,
				 g_ptr_array_index(recipient->certificates, n));
	}
	for (guint i = 0; group->plan.direction == DIRECTION_OUTBOUND && i < own->len; i++) {
		struct cert *cert = g_ptr_array_index(own, i);

		if (goes_along(cert, group->plan.keys))
			add_once(group->certificates, seen, cert);
	}
}

static void
groups_fill(struct ruling *ruling)
{
	for (guint i = 0; i < ruling->groups->copies->len; i++) {
		struct group *group = g_ptr_array_index(ruling->groups->copies, i);

		if (group->plan.sign) {
			group->signer = ruling->gathered->signer;
			group->signer_key = ruling->gathered->signer_key;
			group->signer_chain = ruling->gathered->signer_chain;
		}
		if (group->plan.encrypt)
			group_fill_certificates(ruling, group);
		if (group->plan.opening > 0)
			group->opening = ruling->gathered->openings->pdata[group->plan.opening - 1];
		if (group->plan.tag_set > 0)
			group->tags = ruling->gathered->tags->pdata[group->plan.tag_set - 1];
	}
}

static struct reply *
ruling_reply(const struct ruling *ruling)
{
	g_autofree const char **addresses = g_new0(const char *, ruling->count + 1);

	for (guint i = 0; i < ruling->count; i++)
		addresses[i] = recipient_at(ruling, i)->written;
	return reply_make(ruling->groups, ruling->plans, addresses, ruling->count,
			  ruling->gathered->facts.origin);
}

/* Where local_part_case is exact, Bob and bob are two people. */
static char *
address_text(const struct gathered_recipient *recipient)
{
	return recipient->address != NULL ? g_strdup(mailaddr_key(recipient->address))
					  : g_ascii_strdown(recipient->written, -1);
}

/* Of each recipient the first with the same address. */
static guint *
first_of_same(const struct ruling *ruling)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	guint *first = g_new0(guint, ruling->count);

	for (guint i = 0; i < ruling->count; i++) {
		char *key = address_text(recipient_at(ruling, i));
		gpointer known;

		first[i] = i;
		if (g_hash_table_lookup_extended(seen, key, NULL, &known)) {
			first[i] = GPOINTER_TO_UINT(known);
			g_free(key);
		} else {
			g_hash_table_insert(seen, key, GUINT_TO_POINTER(i));
		}
	}
	return first;
}

static gboolean
tagged_alike(const struct preference_set *a, const struct preference_set *b)
{
	static const enum preference texts[] = {
		PREF_TAG_DECRYPTED,
		PREF_TAG_SIGNED,
		PREF_TAG_SIGNED_BY,
		PREF_TAG_INVALID,
	};
	gboolean on = preference_on(a, PREF_TAG_SUBJECT);

	if (on != preference_on(b, PREF_TAG_SUBJECT))
		return FALSE;
	for (gsize i = 0; on && i < G_N_ELEMENTS(texts); i++)
		if (g_strcmp0(preference_text(a, texts[i]), preference_text(b, texts[i])) != 0)
			return FALSE;
	return TRUE;
}

/* Will they get the same, whatever a key brings to light? */
static gboolean
opened_alike(const struct ruling *ruling, guint i, guint j)
{
	const struct recipient_facts *a = &recipient_at(ruling, i)->facts;
	const struct recipient_facts *b = &recipient_at(ruling, j)->facts;

	return ruling->plans[i].direction == ruling->plans[j].direction &&
	       ruling->plans[i].observed == ruling->plans[j].observed &&
	       a->key_named == b->key_named && a->keep_signature == b->keep_signature &&
	       a->on_invalid_signature == b->on_invalid_signature &&
	       a->on_undecryptable == b->on_undecryptable &&
	       a->unauthenticated_html == b->unauthenticated_html &&
	       a->require_signed == b->require_signed &&
	       tagged_alike(recipient_at(ruling, i)->preferences,
			    recipient_at(ruling, j)->preferences);
}

static gboolean
is_unlike(const struct ruling *ruling)
{
	guint first = 0;

	while (first < ruling->count &&
	       (!recipient_at(ruling, first)->facts.key_named || ruling->plans[first].observed))
		first++;
	for (guint i = 0; first < ruling->count && i < ruling->count; i++)
		if (!opened_alike(ruling, first, i))
			return TRUE;
	return FALSE;
}

static struct groups *
ruling_groups(struct gateway *gateway, const struct ruling *ruling)
{
	g_autofree guint *first = first_of_same(ruling);
	const struct settings *settings = gateway_settings(gateway);
	const struct gathered *found = ruling->gathered;
	gboolean inject = *settings->reinject_address != '\0';
	const struct groups_rules rules = {
		.inject = inject,
		.notify = inject && found->on_refuse == ON_REFUSE_RECIPIENT && found->sender_told,
		.alone_max = (guint)settings->bcc_copies_max,
		.unlike = is_unlike(ruling),
		.first = first,
	};

	return groups_make(ruling->plans, ruling->count, &rules);
}

struct ruling *
ruling_make(struct gateway *gateway, const struct message_source *source, GError **error)
{
	CLEANUP(ruling) struct ruling *ruling = g_new0(struct ruling, 1);

	ruling->gathered = gather(gateway, source, error);
	if (ruling->gathered == NULL)
		return NULL;
	ruling->count = ruling->gathered->recipients->len;
	ruling->plans = g_new0(struct plan, ruling->count);
	ruling->observed = ruling->count > 0;
	for (guint i = 0; i < ruling->count; i++) {
		decide(&ruling->gathered->facts, &recipient_at(ruling, i)->facts,
		       &ruling->plans[i]);
		ruling->observed &= ruling->plans[i].observed;
	}
	ruling->groups = ruling_groups(gateway, ruling);
	groups_fill(ruling);
	ruling->reply = ruling_reply(ruling);
	return g_steal_pointer(&ruling);
}

void
ruling_free(struct ruling *ruling)
{
	if (ruling == NULL)
		return;
	reply_free(ruling->reply);
	groups_free(ruling->groups);
	g_free(ruling->plans);
	gathered_free(ruling->gathered);
	g_free(ruling);
}

/* ---- what leaves every message -------------------------------------------------------------- */

static void
remove_results(const struct settings *settings, const struct headers *headers, struct edits *edits)
{
	g_autoptr(GPtrArray) ids = g_ptr_array_new();
	g_autofree char *own = results_authserv_id(settings);

	g_ptr_array_add(ids, own);
	for (guint i = 0; settings->authserv_id_peers[i] != NULL; i++)
		g_ptr_array_add(ids, settings->authserv_id_peers[i]);
	g_ptr_array_add(ids, NULL);
	ours_remove(headers, (const char *const *)ids->pdata, edits);
}

struct words *
ruling_words(struct gateway *gateway, const struct ruling *ruling, GError **error)
{
	const struct gathered *found = ruling->gathered;
	g_autoptr(GPtrArray) sets = g_ptr_array_new();

	for (guint i = 0; i < found->side.count; i++)
		g_ptr_array_add(sets, found->side.sets[i]);
	for (guint i = 0; i < ruling->count; i++)
		g_ptr_array_add(sets, recipient_at(ruling, i)->preferences);
	return triggers_to_cut(gateway->triggers, &found->side, sets, found->trigger_remove, error);
}

static void
remove_words(struct gateway *gateway, const struct ruling *ruling, const struct headers *headers,
	     struct edits *edits)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(words) struct words *words = ruling_words(gateway, ruling, &error);

	if (words == NULL) {
		/* Tags are a convenience, the result fields are the result: the mail goes on. */
		log_warning("tags and trigger words stay in a subject", "reason", error->message);
		return;
	}
	triggers_cut(headers, words, edits);
}

void
ruling_clean_header(struct gateway *gateway, const struct ruling *ruling,
		    const struct headers *headers, struct edits *edits)
{
	if (ruling->observed || ruling->gathered->facts.origin == ORIGIN_REINJECTED)
		return;
	remove_results(gateway_settings(gateway), headers, edits);
	remove_words(gateway, ruling, headers, edits);
}

/* ---- as JSON -------------------------------------------------------------------------------- */

static void
describe_copies(const struct ruling *ruling, GString *out)
{
	g_string_append_c(out, '[');
	for (guint i = 0; i < ruling->groups->copies->len; i++) {
		const struct group *group = g_ptr_array_index(ruling->groups->copies, i);

		g_string_append(out, i > 0 ? ", {" : "{");
		describe_text_member(out, "signer",
				     group->signer != NULL ? cert_thumbprint(group->signer) : NULL);
		describe_certificates_member(out, "chain", group->signer_chain);
		describe_certificates_member(out, "certificates", group->certificates);
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, ']');
}

void
ruling_describe(const struct ruling *ruling, GString *out)
{
	const struct gathered *found = ruling->gathered;

	g_string_append_c(out, '{');
	describe_text_member(out, "origin", describe_origin(found->facts.origin));
	describe_text_member(out, "origin_why", found->origin_why);
	describe_text_member(out, "author",
			     found->author != NULL ? mailaddr_key(found->author) : NULL);
	describe_text_member(out, "author_check", describe_author(found->facts.author));
	describe_text_member(out, "signer",
			     found->signer_asked ? describe_able(found->facts.signer) : NULL);
	describe_text_member(out, "signer_note", found->signer_asked ? found->signer_note : NULL);
	describe_bool_member(out, "observed", ruling->observed);
	describe_member(out, "recipients");
	g_string_append_c(out, '[');
	for (guint i = 0; i < ruling->count; i++) {
		const struct gathered_recipient *recipient = recipient_at(ruling, i);

		g_string_append(out, i > 0 ? ", {" : "{");
		describe_text_member(out, "address", recipient->written);
		describe_text_member(out, "certificates",
				     recipient->asked ? describe_able(recipient->facts.certificate)
						      : NULL);
		describe_text_member(out, "note", recipient->asked ? recipient->note : NULL);
		describe_member(out, "inbound");
		inbound_summary_describe(found, i, out);
		describe_member(out, "plan");
		plan_describe(&ruling->plans[i], out);
		g_string_append_c(out, '}');
	}
	g_string_append_c(out, ']');
	describe_member(out, "groups");
	groups_describe(ruling->groups, out);
	describe_member(out, "copies");
	describe_copies(ruling, out);
	describe_member(out, "reply");
	reply_describe(ruling->reply, out);
	g_string_append_c(out, '}');
}
