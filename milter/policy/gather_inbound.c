/*
 * gather_inbound - the message read for those it is inbound to; see gathering.h.
 *
 * Recipients who want the same share one reading until an encrypted object names different keys of
 * theirs: those who differ from the first leave, and are read for again. Readings that show the
 * same are one.
 */
#include "milter/policy/gathering.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/failures.h"
#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "milter/mime/author.h"
#include "milter/mime/defuse.h"
#include "milter/policy/decide.h"
#include "milter/policy/inbound_keys.h"
#include "milter/policy/inbound_same.h"
#include "milter/policy/inbound_tags.h"
#include "milter/policy/inbound_trust.h"
#include "milter/reading.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/cms_inspect.h"
#include "pki/crypto/key.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define READINGS_MAX 200      /* of one message: so many recipients with keys of their own */
#define READINGS_CPU_MS 60000 /* all of them together */
#define AUTHORS_MAX 20        /* mailboxes in From whose domains are asked */

#define SAME_ORDER(preference, id, last)                                                           \
	G_STATIC_ASSERT(VALUE_##id - VALUE_##preference == (int)(last))
SAME_ORDER(KEEP_SIGNATURE_KEEP, KEEP_SIGNATURE_REMOVE, KEEP_REMOVE);
SAME_ORDER(ON_INVALID_SIGNATURE_DELIVER, ON_INVALID_SIGNATURE_REJECT, ON_FINDING_REJECT);
SAME_ORDER(ON_UNDECRYPTABLE_DELIVER, ON_UNDECRYPTABLE_REJECT, ON_FINDING_REJECT);
SAME_ORDER(UNAUTHENTICATED_HTML_DELIVER, UNAUTHENTICATED_HTML_HOLD, UNAUTHENTICATED_HOLD);

/* Somebody whom the message is read for. */
struct reader {
	struct gathered_recipient *recipient;
	struct inbound_keys *keys; /* NULL: not asked yet, or could not be */
	struct trust_mode mode;
	gboolean legacy;
	gboolean decrypt;
	gboolean tired; /* too many failures lately: no key is tried */
	gboolean named; /* a key of his is named */
	gboolean done;
};

/* One reading under way. */
struct run {
	struct inbound_trust trust; /* first: its callbacks get the run */
	struct gathering *g;
	GPtrArray *together; /* of struct reader *: the first speaks for all */
};

/* ---- what is wanted ------------------------------------------------------------------------- */

static void
preference_facts(const struct preference_set *set, struct recipient_facts *r)
{
	r->keep_signature = (enum keep_signature)(preference_choice(set, PREF_KEEP_SIGNATURE) -
						  VALUE_KEEP_SIGNATURE_KEEP);
	r->on_invalid_signature = (enum on_finding)(
	    preference_choice(set, PREF_ON_INVALID_SIGNATURE) - VALUE_ON_INVALID_SIGNATURE_DELIVER);
	r->on_undecryptable = (enum on_finding)(preference_choice(set, PREF_ON_UNDECRYPTABLE) -
						VALUE_ON_UNDECRYPTABLE_DELIVER);
	r->unauthenticated_html = (enum unauthenticated_html)(
	    preference_choice(set, PREF_UNAUTHENTICATED_HTML) - VALUE_UNAUTHENTICATED_HTML_DELIVER);
	r->require_signed = r->smime && preference_on(set, PREF_REQUIRE_SIGNED);
	r->require_encrypted = r->smime && preference_on(set, PREF_REQUIRE_ENCRYPTED);
}

/* Of every mailbox in From: a second one must not be a way around the first one's domain. */
static gboolean
author_requires(struct gathering *g, gboolean *is_signed, gboolean *encrypted, GError **error)
{
	g_autoptr(GPtrArray) authors = author_mailboxes(g->source->headers, "From");

	*is_signed = *encrypted = FALSE;
	for (guint i = 0; i < authors->len && i < AUTHORS_MAX; i++) {
		CLEANUP(preference_set)
		struct preference_set *set = preferences_resolve(
		    g->gateway->preferences, mailaddr_key(authors->pdata[i]), error);

		if (set == NULL)
			return FALSE;
		if (!preference_on(set, PREF_SMIME))
			continue;
		*is_signed |= preference_on(set, PREF_REQUIRE_SIGNED);
		*encrypted |= preference_on(set, PREF_REQUIRE_ENCRYPTED);
	}
	return TRUE;
}

/* ---- keys ----------------------------------------------------------------------------------- */

static gboolean
find_keys_of(struct run *run, struct reader *reader, GError **error)
{
	struct gathered_recipient *recipient = reader->recipient;
	g_autoptr(GPtrArray) aliases = NULL;

	if (reader->keys != NULL)
		return TRUE;
	aliases = gather_aliases(run->g, recipient);
	reader->keys = inbound_keys_find(run->g->gateway, recipient->address, aliases, error);
	if (reader->keys == NULL)
		return FALSE;
	recipient->keys = g_ptr_array_ref(inbound_keys_certs(reader->keys));
	return TRUE;
}

static int
compare_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Equal keys, equal text. */
static char *
text_of_keys(const GPtrArray *certs)
{
	g_autoptr(GPtrArray) digests = g_ptr_array_new();

	for (guint i = 0; i < certs->len; i++)
		g_ptr_array_add(digests, (gpointer)cert_spki_sha256(certs->pdata[i]));
	g_ptr_array_sort(digests, compare_text);
	g_ptr_array_add(digests, NULL);
	return g_strjoinv(" ", (char **)digests->pdata);
}

static void
key_clear(gpointer data)
{
	struct cms_decrypt_key *key = data;

	cert_unref((struct cert *)key->cert);
	key_unref((struct key *)key->key);
}

/* A key that is there and does not open is unknown, not absent. */
static gboolean
add_key(struct run *run, struct cert *cert, GArray *keys, GError **error)
{
	g_autoptr(GError) why = NULL;
	struct key *found = keyring_find(run->g->gateway->keyring, cert_spki_sha256(cert), &why);
	struct cms_decrypt_key key;

	if (found == NULL && g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return TRUE;
	if (found == NULL)
		return fail_false(error, PS_ERROR_TEMPORARY, "%s", why->message);
	key = (struct cms_decrypt_key){ cert_ref(cert), found };
	g_array_append_val(keys, key);
	return TRUE;
}

/* Those of the others for whom the object names other keys leave. */
static gboolean
keep_together(struct run *run, struct named_keys *named, const char *keys, GError **error)
{
	for (guint i = run->together->len; i > 1; i--) {
		struct reader *reader = run->together->pdata[i - 1];
		g_autoptr(GPtrArray) certs = NULL;
		g_autofree char *text = NULL;

		if (!find_keys_of(run, reader, error))
			return FALSE;
		certs = named_keys_of(named, reader->keys, error);
		if (certs == NULL)
			return FALSE;
		text = text_of_keys(certs);
		if (strcmp(text, keys) != 0)
			g_ptr_array_remove_index(run->together, i - 1);
		else
			reader->named |= certs->len > 0;
	}
	return TRUE;
}

static GArray *
give_keys(gpointer data, const struct cms_info *info, GError **error)
{
	struct run *run = data;
	struct reader *first = run->together->pdata[0];
	CLEANUP(named_keys) struct named_keys *named = named_keys_new(run->g->gateway, info);
	g_autoptr(GPtrArray) certs = NULL;
	g_autoptr(GArray) keys = g_array_new(FALSE, TRUE, sizeof(struct cms_decrypt_key));
	g_autofree char *text = NULL;

	g_array_set_clear_func(keys, key_clear);
	if (!first->decrypt)
		return fail(error, PS_ERROR_NOT_FOUND, "it is not decrypted here, by preference");
	if (first->recipient->address == NULL)
		return fail(error, PS_ERROR_NOT_FOUND, "not an address that can have a key");
	if (!find_keys_of(run, first, error) ||
	    (certs = named_keys_of(named, first->keys, error)) == NULL)
		return NULL;
	text = text_of_keys(certs);
	if (!keep_together(run, named, text, error))
		return NULL;
	first->named |= certs->len > 0;
	if (certs->len > 0 && first->tired)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "too many decryptions failed within an hour: not tried");
	for (guint i = 0; i < certs->len; i++)
		if (!add_key(run, certs->pdata[i], keys, error))
			return NULL;
	if (keys->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "it names no key of this recipient");
	return g_steal_pointer(&keys);
}

/* ---- one reading ---------------------------------------------------------------------------- */

/* NULL: nobody speaks for the domain. */
static const char *
domain_signer(const struct gathered *found)
{
	const char *text;

	if (found->author == NULL)
		return NULL;
	text = preference_text(found->side.sets[0], PREF_DOMAIN_SIGNER);
	return text != NULL && strcmp(text, "off") != 0 && *text != '\0' ? text : NULL;
}

static struct reading *
read_once(struct run *run, gint64 cpu_max_ms, GError **error)
{
	const struct message_source *source = run->g->source;
	struct reading_options options = inbound_trust_options(&run->trust, source->area);

	options.keys = give_keys;
	options.domain_signer = domain_signer(run->g->found);
	options.cpu_max_ms = cpu_max_ms;
	/* It is read alone; what it gives keeps references of its own. */
	return reading_message((struct headers *)source->headers, source->body, 0,
			       spool_size(source->body), &options, error);
}

static enum inbound_state
state_of(const struct reading *reading, gboolean claimed)
{
	if (reading->unknown)
		return INBOUND_UNKNOWN;
	if (reading->closed != READING_OPEN)
		return INBOUND_CLOSED;
	if (reading->decrypted)
		return INBOUND_OPENED;
	return reading->is_signed || reading->layers->len > 0 || claimed ? INBOUND_VERIFIED
									 : INBOUND_NOTHING;
}

/* ---- what it gave --------------------------------------------------------------------------- */

static struct entity *
defused(struct gathering *g, const struct entity *entity, struct opening *opening, GError **error)
{
	gboolean changed = FALSE;
	struct entity *safe =
	    entity != NULL ? defuse_html(entity, g->source->area, &changed, error) : NULL;

	if (safe != NULL && changed)
		opening->html = OPENED_HTML_FOUND;
	return safe;
}

/* FALSE with *error: it could not be read or kept. */
static gboolean
look_for_html(struct gathering *g, struct opening *opening, GError **error)
{
	const struct reading *reading = opening->reading;
	GError *why = NULL;

	if (!reading->unauthenticated)
		return TRUE;
	if (inbound_has_html(reading->opened, error))
		opening->html = OPENED_HTML_FOUND;
	if (*error != NULL)
		return FALSE;
	opening->defused = defused(g, reading->opened, opening, &why);
	if (why == NULL)
		opening->bare_defused = defused(g, reading->bare, opening, &why);
	if (g_error_matches(why, PS_ERROR, PS_ERROR_INVALID)) {
		opening->html = OPENED_HTML_UNREADABLE;
		g_error_free(why);
	} else if (why != NULL) {
		g_propagate_error(error, why);
		return FALSE;
	}
	return TRUE;
}

/* Its number; takes the reading. 0 with *error. */
static guint
opening_number(struct gathering *g, struct reading *reading, GError **error)
{
	GPtrArray *openings = g->found->openings;
	struct opening *opening;
	GError *why = NULL;

	for (guint i = 0; i < openings->len; i++) {
		opening = openings->pdata[i];
		if (inbound_same(opening->reading, reading)) {
			reading_free(reading);
			return i + 1;
		}
	}
	opening = g_new0(struct opening, 1);
	opening->reading = reading;
	g_ptr_array_add(openings, opening);
	if (look_for_html(g, opening, &why))
		return openings->len;
	g_propagate_error(error, why);
	return 0;
}

static guint
tag_number(struct gathering *g, char *tags)
{
	GPtrArray *all = g->found->tags;

	if (tags == NULL)
		return 0;
	for (guint i = 0; i < all->len; i++) {
		if (strcmp(all->pdata[i], tags) == 0) {
			g_free(tags);
			return i + 1;
		}
	}
	g_ptr_array_add(all, tags);
	return all->len;
}

static void
take_facts(struct run *run, struct reader *reader, guint number)
{
	struct gathering *g = run->g;
	const struct opening *opening = g->found->openings->pdata[number - 1];
	const struct reading *reading = opening->reading;
	struct recipient_facts *r = &reader->recipient->facts;
	gboolean claimed = g->source->structure->signature_claimed && !reading->is_encrypted;

	r->inbound = state_of(reading, claimed);
	r->opening = number;
	r->key_named = reader->named;
	r->decrypt_off = !reader->decrypt;
	r->came_encrypted |= reading->is_encrypted;
	r->signature_claimed = reading->is_signed || claimed;
	r->signature_removable = reading->bare != NULL;
	r->verdict = reading->verdict;
	r->html = opening->html;
	if (r->inbound == INBOUND_VERIFIED || r->inbound == INBOUND_OPENED)
		r->tag_set = tag_number(
		    g, inbound_tags(reader->recipient->preferences, reading, r->signature_claimed));
	if (r->inbound == INBOUND_CLOSED || r->inbound == INBOUND_UNKNOWN)
		reader->recipient->inbound_note =
		    g_strdup(reading->detail != NULL ? reading->detail : reading->reason);
}

static void
take_unknown(const struct run *run, const char *why)
{
	for (guint i = 0; i < run->together->len; i++) {
		struct reader *reader = run->together->pdata[i];

		reader->recipient->facts.inbound = INBOUND_UNKNOWN;
		reader->recipient->inbound_note = g_strdup(why);
		reader->done = TRUE;
	}
}

/* ---- failures within an hour ---------------------------------------------------------------- */

/* Nobody is behind the null sender: there his host counts. */
static char *
name_of_sender(const struct gathering *g)
{
	const struct envelope *envelope = g->source->envelope;

	if (g->found->sender != NULL)
		return g_strconcat("from ", mailaddr_key(g->found->sender), NULL);
	return g_strconcat("from <> at ",
			   envelope->client_address != NULL ? envelope->client_address : "", NULL);
}

static char *
name_of_recipient(const struct gathered_recipient *recipient)
{
	return g_strconcat("to ", mailaddr_key(recipient->address), NULL);
}

static gboolean
is_tired(const struct gathering *g, const struct gathered_recipient *recipient)
{
	g_autofree char *sender = name_of_sender(g);
	g_autofree char *to = NULL;
	gint64 now = clock_now(g->gateway->clock);

	if (g->source->failures == NULL || recipient->address == NULL)
		return FALSE;
	to = name_of_recipient(recipient);
	return failures_exceeded(g->source->failures, sender, now) ||
	       failures_exceeded(g->source->failures, to, now);
}

/* Once for the sender, and for each recipient whose key it was. */
static void
count_failure(const struct run *run, gboolean *counted)
{
	const struct gathering *g = run->g;
	gint64 now = clock_now(g->gateway->clock);

	if (g->source->failures == NULL)
		return;
	if (!*counted) {
		g_autofree char *sender = name_of_sender(g);

		failures_add(g->source->failures, sender, now);
		*counted = TRUE;
	}
	for (guint i = 0; i < run->together->len; i++) {
		const struct reader *reader = run->together->pdata[i];
		g_autofree char *to = name_of_recipient(reader->recipient);

		failures_add(g->source->failures, to, now);
	}
}

/* ---- all of them ---------------------------------------------------------------------------- */

static void
reader_free(gpointer data)
{
	struct reader *reader = data;

	inbound_keys_free(reader->keys);
	g_free(reader);
}

static void
add_reader(struct gathering *g, GPtrArray *readers, struct gathered_recipient *recipient)
{
	const struct preference_set *set = recipient->preferences;
	const struct recipient_facts *r = &recipient->facts;
	struct reader *reader;

	if (!r->smime && !r->require_signed && !r->require_encrypted)
		return;
	reader = g_new0(struct reader, 1);
	reader->recipient = recipient;
	reader->mode =
	    inbound_trust_mode(set, g->found->author != NULL ? g->found->side.sets[0] : NULL);
	reader->legacy = preference_on(set, PREF_LEGACY_ALGORITHMS);
	reader->decrypt = r->smime && preference_on(set, PREF_DECRYPT);
	reader->tired = is_tired(g, recipient);
	g_ptr_array_add(readers, reader);
}

static gboolean
reads_alike(const struct reader *a, const struct reader *b)
{
	return a->mode.revocation == b->mode.revocation && a->mode.ocsp == b->mode.ocsp &&
	       a->legacy == b->legacy && a->decrypt == b->decrypt && a->tired == b->tired &&
	       (a->recipient->address == NULL) == (b->recipient->address == NULL);
}

static void
gather_together(struct run *run, const GPtrArray *readers, guint first)
{
	for (guint i = first; i < readers->len; i++) {
		struct reader *reader = readers->pdata[i];

		if (!reader->done && reads_alike(readers->pdata[first], reader))
			g_ptr_array_add(run->together, reader);
	}
}

/* The first that is not read for yet, with all who can share. */
static gboolean
read_for(struct gathering *g, const GPtrArray *readers, guint first, gint64 cpu_max_ms,
	 gboolean *counted, GError **error)
{
	const struct reader *reader = readers->pdata[first];
	g_autoptr(GPtrArray) together = g_ptr_array_new();
	struct run run = { .trust = { g->gateway, reader->mode, reader->legacy },
			   .g = g,
			   .together = together };
	g_autoptr(GError) why = NULL;
	struct reading *reading;
	guint number = 0;

	gather_together(&run, readers, first);
	reading = read_once(&run, cpu_max_ms, &why);
	if (reading != NULL && reading->closed == READING_FAILED)
		count_failure(&run, counted);
	if (reading != NULL)
		number = opening_number(g, reading, &why);
	if (number == 0 && g_error_matches(why, PS_ERROR, PS_ERROR_FULL)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	if (number == 0) {
		take_unknown(&run, why->message);
		return TRUE;
	}
	for (guint i = 0; i < together->len; i++) {
		take_facts(&run, together->pdata[i], number);
		((struct reader *)together->pdata[i])->done = TRUE;
	}
	return TRUE;
}

/* More keys than one message may cost: it stays closed for the rest. */
static void
leave_closed(struct reader *reader)
{
	struct recipient_facts *r = &reader->recipient->facts;

	r->inbound = INBOUND_CLOSED;
	r->key_named = r->came_encrypted = TRUE;
	r->verdict = MAIL_UNDECRYPTABLE;
	reader->recipient->inbound_note = g_strdup("too many recipients with different keys");
	reader->done = TRUE;
}

static gboolean
read_for_all(struct gathering *g, const GPtrArray *readers, GError **error)
{
	gint64 began_us = clock_monotonic_us();
	gboolean counted = FALSE;
	guint readings = 0;

	for (guint i = 0; i < readers->len; i++) {
		struct reader *reader = readers->pdata[i];
		gint64 left_ms = READINGS_CPU_MS - (clock_monotonic_us() - began_us) / 1000;

		if (reader->done)
			continue;
		if (readings > 0 && (readings >= READINGS_MAX || left_ms <= 0)) {
			leave_closed(reader);
			continue;
		}
		readings++;
		if (!read_for(g, readers, i, CLAMP(left_ms, 1, READING_CPU_MAX_MS), &counted,
			      error))
			return FALSE;
	}
	return TRUE;
}

gboolean
gather_inbound(struct gathering *g, GError **error)
{
	const struct message_source *source = g->source;
	g_autoptr(GPtrArray) readers = g_ptr_array_new_with_free_func(reader_free);
	gboolean is_signed = FALSE, encrypted = FALSE;

	for (guint i = 0; i < g->found->recipients->len; i++) {
		struct gathered_recipient *recipient = g->found->recipients->pdata[i];
		struct recipient_facts *r = &recipient->facts;

		if (decide_direction(&g->found->facts, r) != DIRECTION_INBOUND)
			continue;
		if (readers->len == 0 && !author_requires(g, &is_signed, &encrypted, error))
			return FALSE;
		preference_facts(recipient->preferences, r);
		r->require_signed |= is_signed;
		r->require_encrypted |= encrypted;
		r->came_encrypted = source->structure->arrived == ARRIVED_ENCRYPTED;
		add_reader(g, readers, recipient);
	}
	if (readers->len == 0 || source->body == NULL || !source->structure->worth_reading)
		return TRUE;
	return read_for_all(g, readers, error);
}
