/*
 * ca_names - which names a certificate carries under which profile (S/MIME BR 7.1.4.2).
 *
 * Where the profile is left open ("smime"), the names that were given choose it, and what the rules
 * want beyond them is made of them or warned about. Where it was named, what is missing is
 * an error.
 */
#include "pki/ca_internal.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/base/printable.h"
#include "store/ca_organisation_id.h"

#define COMMON_NAME_MAX 64 /* characters, RFC 5280 A.1 */

struct asked {
	const struct ca_subject *subject;
	const struct ca_defaults *defaults;
	GPtrArray *warnings;
	gboolean chosen; /* somebody named the profile: nothing is bent */
};

void
ca_warn(GPtrArray *warnings, const char *format, ...)
{
	va_list arguments;

	if (warnings == NULL)
		return;
	va_start(arguments, format);
	g_autofree char *raw = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	char *text = printable(raw);
	for (guint i = 0; i < warnings->len; i++)
		if (strcmp(g_ptr_array_index(warnings, i), text) == 0) {
			g_free(text);
			return;
		}
	g_ptr_array_add(warnings, text);
}

static const char *
some(const char *text)
{
	return text != NULL && *text != '\0' ? text : NULL;
}

static gboolean
is_address_of(const char *name, const char *email)
{
	g_autofree char *a = g_utf8_casefold(name, -1), *b = g_utf8_casefold(email, -1);

	return strcmp(a, b) == 0;
}

/* A name of a person or a thing: neither the address, nor another one. */
static gboolean
is_proper_name(const char *name, const char *email)
{
	return name != NULL && strchr(name, '@') == NULL && !is_address_of(name, email);
}

static gboolean
has_person(const struct ca_subject *subject)
{
	return some(subject->first_name) != NULL || some(subject->last_name) != NULL;
}

static enum ca_kind
fitting_kind(const struct ca_subject *subject, const char *email)
{
	const char *name = some(subject->common_name);
	const char *organisation = some(subject->organisation);
	gboolean person = has_person(subject) || is_proper_name(name, email);

	if (organisation == NULL)
		return person ? CA_KIND_INDIVIDUAL : CA_KIND_MAILBOX;
	if (!has_person(subject) && (name == NULL || strcmp(name, organisation) == 0 || !person))
		return CA_KIND_ORGANISATION;
	return CA_KIND_SPONSOR;
}

/* "smime", "sponsor" and "sponsor-strict": the row, once it is clear who it is for. */
static const struct ca_profile *
choose(const char *name, const struct asked *asked, const char *email, GError **error)
{
	gboolean strict = strcmp(asked->defaults->generation, "strict") == 0;
	const struct ca_profile *profile = ca_profile_named(name);

	if (profile != NULL)
		return profile;
	if (!ca_profile_check(name, error))
		return NULL;
	if (strcmp(name, "smime") == 0)
		return ca_profile_of(fitting_kind(asked->subject, email), strict);
	g_autofree char *full = g_strconcat(name, strict ? "-strict" : "-multipurpose", NULL);
	return ca_profile_named(full);
}

/* A person with one name alone has it as surname (S/MIME BR 7.1.4.2.2 e). */
static void
split_name(struct ca_names *made, const char *name)
{
	const char *comma = strchr(name, ',');
	const char *blank = strrchr(name, ' ');

	if (comma != NULL) {
		made->last_name = g_strstrip(g_strndup(name, (gsize)(comma - name)));
		made->first_name = g_strstrip(g_strdup(comma + 1));
	} else if (blank != NULL) {
		made->first_name = g_strstrip(g_strndup(name, (gsize)(blank - name)));
		made->last_name = g_strdup(blank + 1);
	} else {
		made->last_name = g_strdup(name);
	}
}

static gboolean
set_person(struct ca_names *made, const struct asked *asked, GError **error)
{
	const struct ca_subject *subject = asked->subject;
	const char *name = some(subject->common_name);
	g_autofree char *stripped = name != NULL ? g_strstrip(g_strdup(name)) : NULL;

	if (has_person(subject)) {
		made->first_name = g_strdup(some(subject->first_name));
		made->last_name = g_strdup(some(subject->last_name));
	} else if (stripped != NULL && *stripped != '\0' && is_proper_name(stripped, made->email)) {
		split_name(made, stripped);
	} else {
		return fail_false(error, PS_ERROR_INVALID,
				  "profile %s needs a first or last name (S/MIME BR 7.1.4.2.5, "
				  "7.1.4.2.6)",
				  made->profile->name);
	}
	made->names.given_name = some(made->first_name);
	made->names.surname = some(made->last_name);
	if (is_proper_name(stripped, made->email))
		made->common_name = g_steal_pointer(&stripped);
	else if (stripped != NULL)
		made->common_name = g_strdup(made->email);
	else
		made->common_name =
		    g_strstrip(g_strconcat(made->first_name != NULL ? made->first_name : "", " ",
					   made->last_name != NULL ? made->last_name : "", NULL));
	return TRUE;
}

/* Its registration belongs to the organisation of the defaults, and to no other. */
static gboolean
set_organisation(struct ca_names *made, const struct asked *asked, GError **error)
{
	const struct ca_defaults *defaults = asked->defaults;
	const char *organisation = some(asked->subject->organisation);
	const char *known = some(defaults->organisation);
	gboolean ours = organisation == NULL || known == NULL || strcmp(organisation, known) == 0;
	const char *id = ours ? some(defaults->organisation_id) : NULL;

	if (organisation == NULL)
		organisation = known;
	if (organisation == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "profile %s needs an organisation: name one, or set 'ca config "
				  "organisation'",
				  made->profile->name);
	if (id == NULL && asked->chosen)
		return fail_false(
		    error, PS_ERROR_INVALID,
		    ours
			? "profile %s needs the registration of the organisation: ca config "
			  "organisation_id (S/MIME BR 7.1.4.2.2 d)"
			: "profile %s: organisation_id is the registration of another organisation",
		    made->profile->name);
	if (id == NULL)
		ca_warn(asked->warnings,
			"S/MIME BR 7.1.4.2.2 d: the registration of organisation '%s' is missing, "
			"see 'ca config organisation_id'",
			organisation);
	made->names.organisation = organisation;
	made->names.organisation_id = id;
	if (id != NULL && ca_organisation_id_fits(id, defaults->country))
		made->names.country = some(defaults->country);
	return TRUE;
}

/* One that is too long for a common name stands in emailAddress, or in the SAN alone. */
static void
set_mailbox(struct ca_names *made)
{
	if (g_utf8_strlen(made->email, -1) <= COMMON_NAME_MAX)
		made->common_name = g_strdup(made->email);
	else if (g_str_is_ascii(made->email))
		made->names.email_in_subject = made->email;
}

static void
warn_of_lost_names(const struct ca_names *made, const struct asked *asked)
{
	const char *name = some(asked->subject->common_name);

	if (name != NULL && !is_address_of(name, made->email) &&
	    g_strcmp0(name, made->common_name) != 0)
		ca_warn(asked->warnings,
			"the name '%s' is not in the certificate: profile %s does not allow it "
			"(S/MIME BR 7.1.4.2.2 a)",
			name, made->profile->name);
}

static gboolean
set_smime(struct ca_names *made, const struct asked *asked, GError **error)
{
	made->emails[0] = made->email;
	made->names.emails = made->emails;
	if (made->profile->kind == CA_KIND_SPONSOR || made->profile->kind == CA_KIND_ORGANISATION)
		if (!set_organisation(made, asked, error))
			return FALSE;
	if (made->profile->kind == CA_KIND_SPONSOR || made->profile->kind == CA_KIND_INDIVIDUAL) {
		if (!set_person(made, asked, error))
			return FALSE;
	} else if (made->profile->kind == CA_KIND_ORGANISATION &&
		   is_proper_name(some(asked->subject->common_name), made->email)) {
		made->common_name = g_strdup(made->names.organisation);
	} else {
		set_mailbox(made);
	}
	made->names.common_name = made->common_name;
	warn_of_lost_names(made, asked);
	return TRUE;
}

static gboolean
set_tls_server(struct ca_names *made, const struct asked *asked, GError **error)
{
	const char *const *dns_names = asked->subject->dns_names;

	if (dns_names == NULL || dns_names[0] == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "profile tls-server needs at least one DNS name");
	made->names.dns_names = dns_names;
	/* Of the subject only what stands in the names as well, and as it stands there (TLS BR
	 * 7.1.4.3). */
	made->common_name = issue_dns_value(dns_names[0], error);
	if (made->common_name == NULL)
		return FALSE;
	if (strlen(made->common_name) <= COMMON_NAME_MAX)
		made->names.common_name = made->common_name;
	return TRUE;
}

static gboolean
set_tls_client(struct ca_names *made, const struct asked *asked, GError **error)
{
	made->names.common_name = some(asked->subject->common_name);
	made->names.organisation = some(asked->subject->organisation);
	if (made->email != NULL) {
		made->emails[0] = made->email;
		made->names.emails = made->emails;
	}
	if (made->names.common_name == NULL)
		made->names.common_name = made->email;
	return made->names.common_name != NULL ||
	       fail_false(error, PS_ERROR_INVALID, "profile tls-client needs a common name");
}

gboolean
ca_names_make(struct ca_names *made, const char *profile, const struct ca_subject *subject,
	      const struct ca_defaults *defaults, GPtrArray *warnings, GError **error)
{
	struct ca_subject filled = *subject;
	struct asked asked = { &filled, defaults, warnings, strcmp(profile, "smime") != 0 };

	*made = (struct ca_names){ 0 };
	if (some(subject->common_name) == NULL)
		filled.common_name = some(defaults->common_name);
	if (some(subject->email) != NULL) {
		made->email = issue_email_value(subject->email, error);
		if (made->email == NULL)
			return FALSE;
	}
	made->profile = choose(profile, &asked, made->email != NULL ? made->email : "", error);
	if (made->profile == NULL)
		return FALSE;
	if (made->profile->smime && made->email == NULL)
		return fail_false(error, PS_ERROR_INVALID, "profile %s needs a mail address",
				  made->profile->name);
	if (made->profile->smime)
		return set_smime(made, &asked, error);
	if (made->profile->kind == CA_KIND_TLS_SERVER)
		return set_tls_server(made, &asked, error);
	return set_tls_client(made, &asked, error);
}

void
ca_names_clear(struct ca_names *made)
{
	g_free(made->email);
	g_free(made->common_name);
	g_free(made->first_name);
	g_free(made->last_name);
	*made = (struct ca_names){ 0 };
}
