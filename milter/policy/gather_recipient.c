/* gather_recipient - the recipients' half of gather; see gathering.h. */
#include "milter/policy/gathering.h"

#include <string.h>

#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "milter/mime/author.h"
#include "milter/policy/decide.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/cms.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/cms_inspect.h"
#include "pki/crypto/key.h"
#include "pki/select.h"
#include "store/base/error.h"
#include "store/config/settings.h"

/* ---- preferences ---------------------------------------------------------------------------- */

struct choice {
	guint announced; /* enum cms_cipher or cms_transport */
	guint value;
};

/* Strongest first. */
static const struct choice ciphers[] = {
	{ CMS_CIPHER_AES_256_GCM, CIPHER_AES_256_GCM },
	{ CMS_CIPHER_AES_128_GCM, CIPHER_AES_128_GCM },
	{ CMS_CIPHER_AES_256_CBC, CIPHER_AES_256_CBC },
	{ CMS_CIPHER_AES_128_CBC, CIPHER_AES_128_CBC },
};
/* They differ in nothing that matters: what most programs read first. */
static const struct choice transports[] = {
	{ CMS_TRANSPORT_OAEP_SHA256, TRANSPORT_OAEP_SHA256 },
	{ CMS_TRANSPORT_OAEP_SHA384, TRANSPORT_OAEP_SHA384 },
	{ CMS_TRANSPORT_OAEP_SHA512, TRANSPORT_OAEP_SHA512 },
};

static guint
first_announced(const struct choice *choices, guint n, guint mask, guint otherwise)
{
	for (guint i = 0; i < n; i++) {
		if ((mask & 1u << choices[i].announced) != 0)
			return choices[i].value;
	}
	return otherwise;
}

/* auto takes the best that he announced, else what every mail program of the last twenty years
 * reads. selection NULL: nothing is known of him. */
static enum copy_cipher
cipher_of(const struct preference_set *set, const struct selection *selection)
{
	guint mask = selection != NULL && selection->announced ? selection->ciphers : 0;

	switch ((int)preference_choice(set, PREF_CIPHER)) {
	case VALUE_CIPHER_AES_256_GCM:
		return CIPHER_AES_256_GCM;
	case VALUE_CIPHER_AES_128_GCM:
		return CIPHER_AES_128_GCM;
	case VALUE_CIPHER_AES_256_CBC:
		return CIPHER_AES_256_CBC;
	case VALUE_CIPHER_AES_128_CBC:
		return CIPHER_AES_128_CBC;
	default:
		return (enum copy_cipher)first_announced(ciphers, G_N_ELEMENTS(ciphers), mask,
							 CIPHER_AES_256_CBC);
	}
}

static enum copy_transport
transport_of(const struct preference_set *set, const struct selection *selection)
{
	guint mask = selection != NULL && selection->announced ? selection->transports : 0;

	switch ((int)preference_choice(set, PREF_KEY_TRANSPORT)) {
	case VALUE_KEY_TRANSPORT_PKCS1:
		return TRANSPORT_PKCS1;
	case VALUE_KEY_TRANSPORT_OAEP_SHA256:
		return TRANSPORT_OAEP_SHA256;
	case VALUE_KEY_TRANSPORT_OAEP_SHA384:
		return TRANSPORT_OAEP_SHA384;
	case VALUE_KEY_TRANSPORT_OAEP_SHA512:
		return TRANSPORT_OAEP_SHA512;
	default:
		return (enum copy_transport)first_announced(transports, G_N_ELEMENTS(transports),
							    mask, TRANSPORT_PKCS1);
	}
}

static enum calendar_mode
calendar_of(const struct preference_set *set)
{
	switch ((int)preference_choice(set, PREF_CALENDAR)) {
	case VALUE_CALENDAR_PLAIN:
		return CALENDAR_PLAIN;
	case VALUE_CALENDAR_SIGN_ONLY:
		return CALENDAR_SIGN_ONLY;
	default:
		return CALENDAR_NORMAL;
	}
}

static void
preference_facts(const struct preference_set *set, struct recipient_facts *r)
{
	r->locality = preference_choice(set, PREF_LOCALITY) == VALUE_LOCALITY_INTERNAL
			  ? LOCALITY_INTERNAL
			  : LOCALITY_EXTERNAL;
	r->smime = preference_on(set, PREF_SMIME);
	r->encrypt_mode = (enum encrypt_mode)(preference_choice(set, PREF_ENCRYPT_MODE) -
					      VALUE_ENCRYPT_MODE_NONE);
	r->protect_internal = preference_on(set, PREF_PROTECT_INTERNAL);
	r->observe = preference_choice(set, PREF_MODE) == VALUE_MODE_OBSERVE;
	r->on_spoofed =
	    preference_choice(set, PREF_ON_SPOOFED_INTERNAL) == VALUE_ON_SPOOFED_INTERNAL_INBOUND
		? SPOOFED_INBOUND
		: SPOOFED_REJECT;
	r->calendar = calendar_of(set);
	r->format = preference_choice(set, PREF_SIGNING_FORMAT) == VALUE_SIGNING_FORMAT_OPAQUE
			? FORMAT_OPAQUE
			: FORMAT_CLEAR;
	r->scheme = preference_choice(set, PREF_SIGNATURE_SCHEME) == VALUE_SIGNATURE_SCHEME_PSS
			? SCHEME_PSS
			: SCHEME_PKCS1;
	r->cipher = cipher_of(set, NULL);
	r->transport = transport_of(set, NULL);
	r->additional_required = preference_on(set, PREF_ADDITIONAL_REQUIRED);
	r->single = preference_on(set, PREF_SINGLE_RECIPIENT);
	r->header_protection = (enum header_protection)(
	    preference_choice(set, PREF_HEADER_PROTECTION) - VALUE_HEADER_PROTECTION_OFF);
}

/*
 * Where a message goes that is sent to <bob%partner@corp>, <partner!bob@corp> or
 * <"bob@partner"@corp>: MTAs look for such routes in the mail of their own domains, quoted or not
 * (Postfix: allow_percent_hack, swap_bangpath, resolve_dequoted_address). NULL: no route.
 */
static struct mailaddr *
address_behind(const struct mailaddr *address)
{
	g_autofree char *local = g_strdup(mailaddr_local(address));
	g_autofree char *turned = NULL;
	gsize length = strlen(local);
	char *mark;

	if (length >= 2 && local[0] == '"') {
		local[length - 1] = '\0';
		memmove(local, local + 1, length - 1);
	}
	if (strchr(local, '@') != NULL)
		return mailaddr_parse(local, NULL);
	mark = strrchr(local, '%');
	if (mark != NULL) {
		*mark = '@';
		return mailaddr_parse(local, NULL);
	}
	mark = strchr(local, '!');
	if (mark == NULL)
		return NULL;
	turned = g_strdup_printf("%s@%.*s", mark + 1, (int)(mark - local), local);
	return mailaddr_parse(turned, NULL);
}

/* A route out of our domains: who is meant is the one behind, and what is demanded is what either
 * demands. Whether the MTA follows the route is not known here. */
static gboolean
follow_route(struct gathering *g, struct gathered_recipient *recipient, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *behind = address_behind(recipient->address);
	CLEANUP(preference_set) struct preference_set *preferences = NULL;
	struct recipient_facts facts = { 0 };
	struct recipient_facts *r = &recipient->facts;
	enum encrypt_mode here = r->smime ? r->encrypt_mode : ENCRYPT_NONE;
	enum header_protection fields = r->smime ? r->header_protection : HEADERS_OFF;

	if (behind == NULL || strpbrk(mailaddr_domain(behind), ".[") == NULL)
		return TRUE; /* no route, or one that ends at a host of ours */
	preferences = preferences_resolve(g->gateway->preferences, mailaddr_key(behind), error);
	if (preferences == NULL)
		return FALSE;
	preference_facts(preferences, &facts);
	if (facts.smime)
		fields = MAX(fields, facts.header_protection);
	if (r->locality == LOCALITY_INTERNAL && facts.locality == LOCALITY_EXTERNAL) {
		mailaddr_unref(recipient->address);
		recipient->address = mailaddr_ref(behind);
		preference_set_unref(recipient->preferences);
		recipient->preferences = g_steal_pointer(&preferences);
		here = MAX(here, facts.smime ? facts.encrypt_mode : ENCRYPT_NONE);
		*r = facts;
	} else if (facts.smime) {
		here = MAX(here, facts.encrypt_mode);
	}
	r->encrypt_mode = here;
	r->header_protection = fields;
	r->smime |= here != ENCRYPT_NONE;
	return TRUE;
}

gboolean
gather_recipient_preferences(struct gathering *g, GError **error)
{
	gboolean side_requires = side_on(&g->found->side, PREF_ADDITIONAL_REQUIRED);

	for (guint i = 0; i < g->found->recipients->len; i++) {
		struct gathered_recipient *recipient = g_ptr_array_index(g->found->recipients, i);
		const char *key =
		    recipient->address != NULL ? mailaddr_key(recipient->address) : NULL;

		recipient->preferences = preferences_resolve(g->gateway->preferences, key, error);
		if (recipient->preferences == NULL)
			return FALSE;
		preference_facts(recipient->preferences, &recipient->facts);
		if (recipient->address != NULL && !follow_route(g, recipient, error))
			return FALSE;
		recipient->facts.additional_required |= side_requires;
		g->any_opaque |= recipient->facts.format == FORMAT_OPAQUE;
		g->any_header_protection |= recipient->facts.header_protection != HEADERS_OFF;
	}
	return TRUE;
}

/* ---- who is named in the header ------------------------------------------------------------- */

static void
named_add(GHashTable *named, const struct headers *headers, const char *field)
{
	g_autoptr(GPtrArray) mailboxes = author_mailboxes(headers, field);

	for (guint i = 0; i < mailboxes->len; i++)
		g_hash_table_add(named, g_strdup(mailaddr_key(g_ptr_array_index(mailboxes, i))));
}

static gboolean
is_named(struct gathering *g, const struct mailaddr *address)
{
	static const char *const fields[] = { "To", "Cc", "Resent-To", "Resent-Cc" };

	/* Alone in his message he cannot be given away to anybody. */
	if (g->found->recipients->len == 1)
		return TRUE;
	if (g->named == NULL) {
		g->named = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
		for (guint i = 0; i < G_N_ELEMENTS(fields); i++)
			named_add(g->named, g->source->headers, fields[i]);
	}
	return g_hash_table_contains(g->named, mailaddr_key(address));
}

/* ---- certificates --------------------------------------------------------------------------- */

enum able
selection_able(const struct selection *selection)
{
	if (selection->used->len > 0)
		return ABLE_YES;
	for (guint i = 0; i < selection->candidates->len; i++) {
		const struct candidate *candidate = g_ptr_array_index(selection->candidates, i);

		if (candidate->verdict->state == VERDICT_UNKNOWN)
			return ABLE_UNKNOWN;
	}
	return ABLE_NO;
}

static gboolean
is_ec(const struct cert *cert)
{
	return cert_key_kind(cert) == KEY_KIND_EC;
}

static gboolean
fits_kind(const struct cert *cert, enum copy_keys keys)
{
	switch (keys) {
	case KEYS_RSA:
		return !is_ec(cert);
	case KEYS_EC:
		return is_ec(cert);
	case KEYS_MIXED:
		break;
	}
	return TRUE;
}

/* RSA and EC do not share a CMS object unless the recipient wants it so. */
static enum copy_keys
kind_to_use(const struct preference_set *set, const GPtrArray *usable)
{
	gboolean rsa = FALSE, ec = FALSE;

	for (guint i = 0; i < usable->len; i++)
		*(is_ec(g_ptr_array_index(usable, i)) ? &ec : &rsa) = TRUE;
	switch ((int)preference_choice(set, PREF_KEY_KIND)) {
	case VALUE_KEY_KIND_ALL:
		return KEYS_MIXED;
	case VALUE_KEY_KIND_EC_FIRST:
		return ec ? KEYS_EC : KEYS_RSA;
	default:
		return rsa ? KEYS_RSA : KEYS_EC;
	}
}

static GPtrArray *
usable_certificates(const struct selection *selection)
{
	GPtrArray *usable = g_ptr_array_new();

	for (guint i = 0; i < selection->used->len; i++) {
		struct cert *cert = g_ptr_array_index(selection->used, i);

		if (cms_encrypt_usable(cert, NULL))
			g_ptr_array_add(usable, cert);
	}
	return usable;
}

static void
add_certificate(GPtrArray *certificates, struct cert *cert)
{
	for (guint i = 0; i < certificates->len; i++) {
		if (cert_equal(g_ptr_array_index(certificates, i), cert))
			return;
	}
	g_ptr_array_add(certificates, cert_ref(cert));
}

/* Adds what fits; TRUE when one that should be there is missing. */
static gboolean
add_additional(struct gathered_recipient *recipient, const struct selection *selection,
	       GPtrArray *added)
{
	gboolean missing = selection != NULL && selection->absent > 0;

	for (guint i = 0; selection != NULL && i < selection->candidates->len; i++) {
		struct candidate *candidate = g_ptr_array_index(selection->candidates, i);

		if (!candidate->used || !fits_kind(candidate->cert, recipient->facts.keys) ||
		    !cms_encrypt_usable(candidate->cert, NULL)) {
			missing = TRUE;
			continue;
		}
		add_certificate(recipient->certificates, candidate->cert);
		if (!g_ptr_array_find_with_equal_func(added, cert_thumbprint(candidate->cert),
						      g_str_equal, NULL))
			g_ptr_array_add(added, (gpointer)cert_thumbprint(candidate->cert));
	}
	return missing;
}

static int
compare_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Equal sets of additional certificates get equal numbers; none is 0. */
static guint
number_of_set(struct gathering *g, GPtrArray *thumbprints)
{
	g_autofree char *joined = NULL;
	gpointer number;

	if (thumbprints->len == 0)
		return 0;
	g_ptr_array_sort(thumbprints, compare_text);
	g_ptr_array_add(thumbprints, NULL);
	joined = g_strjoinv(" ", (char **)thumbprints->pdata);
	if (g->additional_sets == NULL)
		g->additional_sets = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	number = g_hash_table_lookup(g->additional_sets, joined);
	if (number == NULL) {
		number = GUINT_TO_POINTER(g_hash_table_size(g->additional_sets) + 1);
		g_hash_table_insert(g->additional_sets, g_steal_pointer(&joined), number);
	}
	return GPOINTER_TO_UINT(number);
}

static void
gather_additional(struct gathering *g, struct gathered_recipient *recipient)
{
	g_autoptr(GPtrArray) added = g_ptr_array_new();
	g_autoptr(GError) error = NULL;
	gboolean missing = g->additional_unknown;

	recipient->additional = select_additional(g->gateway->select, recipient->address, &error);
	if (recipient->additional == NULL)
		missing = TRUE;
	missing |= add_additional(recipient, g->found->additional, added);
	missing |= add_additional(recipient, recipient->additional, added);
	recipient->facts.additional_missing = missing;
	recipient->facts.additional_set = number_of_set(g, added);
	if (missing && recipient->note == NULL)
		recipient->note =
		    g_strdup(error != NULL ? error->message
					   : "an additional certificate is missing from the copy");
}

GPtrArray *
gather_aliases(struct gathering *g, const struct gathered_recipient *recipient)
{
	GPtrArray *aliases = g_ptr_array_new_with_free_func((GDestroyNotify)mailaddr_unref);
	const char *const *list = preference_list(recipient->preferences, PREF_ALIASES);
	char delimiter = *g->settings->recipient_delimiter;
	g_autofree char *untagged = NULL;
	struct mailaddr *alias;

	for (guint i = 0; list[i] != NULL; i++) {
		alias = mailaddr_parse(list[i], NULL);
		if (alias != NULL)
			g_ptr_array_add(aliases, alias);
	}
	alias = list[0] != NULL ? side_alias_owner(recipient->preferences) : NULL;
	if (alias != NULL)
		g_ptr_array_add(aliases, alias);
	if (recipient->facts.locality != LOCALITY_INTERNAL || delimiter == '\0')
		return aliases;
	untagged = mailaddr_key_without_tag(recipient->address, delimiter);
	alias = untagged != NULL ? mailaddr_parse(untagged, NULL) : NULL;
	if (alias != NULL)
		g_ptr_array_add(aliases, alias);
	return aliases;
}

void
gather_certificates(struct gathering *g, struct gathered_recipient *recipient)
{
	g_autoptr(GPtrArray) aliases = gather_aliases(g, recipient);
	g_autoptr(GPtrArray) usable = NULL;
	g_autoptr(GError) error = NULL;

	g_clear_pointer(&recipient->selection, selection_unref);
	g_clear_pointer(&recipient->note, g_free);
	g_ptr_array_set_size(recipient->certificates, 0);
	recipient->facts.certificate = ABLE_UNKNOWN;
	recipient->selection =
	    select_encryption_aliases(g->gateway->select, recipient->address, aliases, &error);
	if (recipient->selection == NULL) {
		recipient->note = g_strdup(error->message);
		return;
	}
	recipient->facts.cipher = cipher_of(recipient->preferences, recipient->selection);
	recipient->facts.transport = transport_of(recipient->preferences, recipient->selection);
	usable = usable_certificates(recipient->selection);
	recipient->facts.keys = kind_to_use(recipient->preferences, usable);
	if (recipient->facts.keys == KEYS_EC)
		recipient->facts.transport = TRANSPORT_PKCS1; /* means nothing there */
	for (guint i = 0; i < usable->len; i++) {
		struct cert *cert = g_ptr_array_index(usable, i);

		if (fits_kind(cert, recipient->facts.keys))
			add_certificate(recipient->certificates, cert);
	}
	if (recipient->certificates->len > 0) {
		recipient->facts.certificate = ABLE_YES;
		gather_additional(g, recipient);
		return;
	}
	recipient->note = g_strdup(recipient->selection->why);
	recipient->facts.certificate =
	    recipient->selection->used->len > 0 ? ABLE_NO : selection_able(recipient->selection);
}

/* accept_foreign_encryption = matching: is there a recipientInfo for one of his certificates? */
static gboolean
is_foreign_matching(const struct gathering *g, const struct gathered_recipient *recipient)
{
	const struct cms_info *cms = g->source->structure->cms;

	if (cms == NULL || recipient->selection == NULL)
		return FALSE;
	for (guint i = 0; i < recipient->selection->candidates->len; i++) {
		const struct candidate *candidate =
		    g_ptr_array_index(recipient->selection->candidates, i);

		if (cms_info_names(cms, candidate->cert))
			return TRUE;
	}
	return FALSE;
}

/* Asks the decision itself: would it make a difference to know? */
static gboolean
certificates_matter(const struct gathering *g, const struct gathered_recipient *recipient)
{
	struct message_facts message = g->found->facts;
	struct recipient_facts facts = recipient->facts;
	struct plan plan;

	message.null_sender = FALSE; /* its own row would hide what is asked for here */
	facts.certificate = ABLE_UNKNOWN;
	facts.foreign_matching = FALSE;
	decide(&message, &facts, &plan);
	if (plan.encrypt_row == ROW_ENCRYPT_PROTECTED_REFUSED)
		return g->found->facts.accept_foreign == ACCEPT_FOREIGN_MATCHING;
	return plan.encrypt_need != NEED_NO && g->found->facts.arrived != ARRIVED_ENCRYPTED;
}

/* What goes into every encrypted copy for the author's sake. */
static void
gather_author_certificates(struct gathering *g)
{
	struct gathered *found = g->found;
	CLEANUP(selection) struct selection *own = NULL;
	g_autoptr(GPtrArray) usable = NULL;

	const struct mailaddr *ours = g->author_internal   ? found->author
				      : g->sender_internal ? found->sender
							   : NULL;

	if (ours == NULL || found->facts.origin != ORIGIN_TRUSTED)
		return;
	found->additional = select_additional(g->gateway->select, ours, NULL);
	g->additional_unknown = found->additional == NULL;
	if (found->facts.author != AUTHOR_CONFIRMED || !side_on(&found->side, PREF_ENCRYPT_TO_SELF))
		return;
	own = select_encryption(g->gateway->select, found->author, NULL);
	if (own == NULL)
		return;
	usable = usable_certificates(own);
	for (guint i = 0; i < usable->len; i++)
		add_certificate(found->own, g_ptr_array_index(usable, i));
}

/* The padding is a choice for plain RSA keys alone. */
static enum signature_scheme
scheme_for(const struct key *signer, enum signature_scheme wanted)
{
	if (signer == NULL || key_kind(signer) == KEY_KIND_RSA)
		return wanted;
	return key_kind(signer) == KEY_KIND_RSA_PSS ? SCHEME_PSS : SCHEME_PKCS1;
}

void
gather_recipient_certificates(struct gathering *g)
{
	struct gathered *found = g->found;
	gboolean author_done = FALSE;

	for (guint i = 0; i < found->recipients->len; i++) {
		struct gathered_recipient *recipient = g_ptr_array_index(found->recipients, i);

		recipient->asked = certificates_matter(g, recipient);
	}
	gather_ahead(g);
	for (guint i = 0; i < found->recipients->len; i++) {
		struct gathered_recipient *recipient = g_ptr_array_index(found->recipients, i);

		recipient->facts.scheme = scheme_for(found->signer_key, recipient->facts.scheme);
		if (recipient->address == NULL) {
			recipient->note = g_strdup("not an address that can have a certificate");
			continue;
		}
		if (!recipient->asked && !g->source->look_up_all)
			continue;
		if (!author_done)
			gather_author_certificates(g);
		author_done = TRUE;
		gather_certificates(g, recipient);
	}
	gather_directories(g);
	for (guint i = 0; i < found->recipients->len; i++) {
		struct gathered_recipient *recipient = g_ptr_array_index(found->recipients, i);

		if (!recipient->asked || recipient->address == NULL)
			continue;
		recipient->facts.named = is_named(g, recipient->address);
		recipient->facts.foreign_matching = is_foreign_matching(g, recipient);
	}
}
