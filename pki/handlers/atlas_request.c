/*
 * atlas_request - each field by its rule.
 */
#include "pki/handlers/atlas_request.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"

#define EMAIL_PROTECTION "1.3.6.1.5.5.7.3.4"
#define SERVER_AUTH "1.3.6.1.5.5.7.3.1"

enum presence { PRESENCE_UNKNOWN, OPTIONAL, REQUIRED, FORBIDDEN, STATIC };

static enum presence
presence_parse(const json_t *value)
{
	const char *text = json_string_value(value);

	if (g_strcmp0(text, "OPTIONAL") == 0)
		return OPTIONAL;
	if (g_strcmp0(text, "REQUIRED") == 0)
		return REQUIRED;
	if (g_strcmp0(text, "FORBIDDEN") == 0)
		return FORBIDDEN;
	return g_strcmp0(text, "STATIC") == 0 ? STATIC : PRESENCE_UNKNOWN;
}

static const char *
text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name));
}

/* The expressions stand for themselves: one that binds nothing matches anywhere. */
static gboolean
fits(const char *value, const char *expression)
{
	g_autoptr(GRegex) regex =
	    expression != NULL && *expression != '\0' ? g_regex_new(expression, 0, 0, NULL) : NULL;

	return regex == NULL || g_regex_match(regex, value, 0, NULL);
}

static gboolean
refuse(GError **error, const char *field, const char *value, const char *rule)
{
	g_autofree char *shown = printable(value);
	g_autofree char *safe = printable(rule);

	return fail_false(error, PS_ERROR_INVALID,
			  "%s '%s' does not fit the validation policy of the account: %s", field,
			  shown, safe);
}

/* --- single values --- */

static gboolean
put_text(json_t *out, const json_t *rules, const char *group, const char *name, const char *value,
	 GError **error)
{
	const json_t *rule = json_object_get(rules, name);
	enum presence presence = presence_parse(json_object_get(rule, "presence"));
	g_autofree char *field = g_strdup_printf("%s.%s", group, name);

	if (presence == REQUIRED && value == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "the validation policy of the account requires %s, and there is "
				  "none: it comes from the request or the handler's settings",
				  field);
	if (value == NULL || (presence != REQUIRED && presence != OPTIONAL))
		return TRUE;
	if (!fits(value, text_of(rule, "format")))
		return refuse(error, field, value, text_of(rule, "format"));
	json_object_set_new(out, name, json_string(value));
	return TRUE;
}

static gboolean
put_email(json_t *out, const json_t *rules, const char *email, GError **error)
{
	const json_t *rule = json_object_get(rules, "email");

	/* It stands in the subjectAltName; in the subject only where it has to. */
	return presence_parse(json_object_get(rule, "presence")) != REQUIRED ||
	       put_text(out, rules, "subject_dn", "email", email, error);
}

/* --- lists --- */

static gboolean
fits_any(const char *value, const json_t *expressions)
{
	size_t i;
	json_t *expression;

	json_array_foreach(expressions, i,
			   expression) if (json_is_string(expression) &&
					   fits(value, json_string_value(expression))) return TRUE;
	return FALSE;
}

static char *
describe_list(const json_t *expressions)
{
	GString *text = g_string_new(NULL);
	size_t i;
	json_t *expression;

	json_array_foreach(expressions, i,
			   expression) if (json_is_string(expression) && text->len < 300)
	    g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", json_string_value(expression));
	return g_string_free(text, FALSE);
}

static gboolean
put_list(json_t *out, const json_t *rules, const char *group, const char *name,
	 const char *const *values, GError **error)
{
	const json_t *rule = json_object_get(rules, name);
	const json_t *expressions = json_object_get(rule, "list");
	json_int_t least = json_integer_value(json_object_get(rule, "mincount"));
	json_int_t most = json_integer_value(json_object_get(rule, "maxcount"));
	gsize count = values != NULL ? g_strv_length((GStrv)(guintptr)values) : 0;
	g_autofree char *field = g_strdup_printf("%s.%s", group, name);

	if (json_is_true(json_object_get(rule, "static")))
		return TRUE;
	if ((json_int_t)count < least || (json_int_t)count > most)
		return fail_false(error, PS_ERROR_INVALID,
				  "the validation policy of the account takes %d to %d values of "
				  "%s, and there are %zu",
				  (int)least, (int)most, field, count);
	if (count == 0)
		return TRUE;
	json_t *list = json_array();
	for (gsize i = 0; i < count; i++)
		json_array_append_new(list, json_string(values[i]));
	json_object_set_new(out, name, list);
	for (gsize i = 0; i < count; i++) {
		g_autofree char *rule_text = describe_list(expressions);

		if (!fits_any(values[i], expressions))
			return refuse(error, field, values[i], rule_text);
	}
	return TRUE;
}

/* --- what we never have --- */

/* The name of something that has to be there in a part of the policy that we fill nothing into. */
static const char *
required_in(const json_t *rules)
{
	const char *name;
	json_t *rule;

	json_object_foreach((json_t *)rules, name, rule)
	{
		gboolean is_static = json_is_true(json_object_get(rule, "static"));

		if (presence_parse(rule) == REQUIRED ||
		    presence_parse(json_object_get(rule, "presence")) == REQUIRED ||
		    (!is_static && json_integer_value(json_object_get(rule, "mincount")) > 0))
			return name;
		if (json_is_object(rule) && json_object_get(rule, "presence") == NULL &&
		    required_in(rule) != NULL)
			return name;
	}
	return NULL;
}

static gboolean
check_unfilled(const json_t *policy, GError **error)
{
	static const struct {
		const char *group, *part;
	} unfilled[] = {
		{ "subject_dn", "extra_attributes" },
		{ "san", "other_names" },
		{ NULL, "subject_da" },
		{ NULL, "qualified_statements" },
		{ NULL, "ms_extension_template" },
		{ NULL, "custom_extensions" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(unfilled); i++) {
		const json_t *group =
		    unfilled[i].group != NULL ? json_object_get(policy, unfilled[i].group) : policy;
		const char *name = required_in(json_object_get(group, unfilled[i].part));
		g_autofree char *shown = name != NULL ? printable(name) : NULL;

		if (name != NULL)
			return fail_false(error, PS_ERROR_INVALID,
					  "the validation policy of the account requires %s of %s, "
					  "which we do not send: have the account changed",
					  shown, unfilled[i].part);
	}
	return TRUE;
}

/* --- the parts --- */

/* Left out when empty. */
static void
put_part(json_t *out, const char *name, json_t *part)
{
	if (json_object_size(part) > 0)
		json_object_set_new(out, name, part);
	else
		json_decref(part);
}

static gboolean
put_subject(json_t *out, const json_t *policy, const struct atlas_subject *subject, GError **error)
{
	const json_t *rules = json_object_get(policy, "subject_dn");
	const struct {
		const char *name, *value;
	} fields[] = {
		{ "common_name", subject->common_name },
		{ "given_name", subject->given_name },
		{ "surname", subject->surname },
		{ "organization", subject->organization },
		{ "organization_identifier", subject->organization_identifier },
		{ "country", subject->country },
		{ "state", subject->state },
		{ "locality", subject->locality },
		{ "street_address", subject->street_address },
		{ "postal_code", subject->postal_code },
		{ "serial_number", subject->serial_number },
		{ "business_category", NULL },
		{ "jurisdiction_of_incorporation_locality_name", NULL },
		{ "jurisdiction_of_incorporation_state_or_province_name", NULL },
		{ "jurisdiction_of_incorporation_country_name", NULL },
	};
	json_t *part = json_object();
	gboolean good = TRUE;

	for (gsize i = 0; good && i < G_N_ELEMENTS(fields); i++)
		good = put_text(part, rules, "subject_dn", fields[i].name, fields[i].value, error);
	good = good && put_email(part, rules, subject->email, error);
	if (good && json_object_get(rules, "organizational_unit") != NULL)
		good = put_list(part, rules, "subject_dn", "organizational_unit",
				subject->organizational_units, error);
	put_part(out, "subject_dn", part);
	return good;
}

static gboolean
put_san(json_t *out, const json_t *policy, const struct atlas_wish *wish, GError **error)
{
	const json_t *rules = json_object_get(policy, "san");
	json_t *part = json_object();
	gboolean good = put_list(part, rules, "san", "emails", wish->emails, error) &&
			put_list(part, rules, "san", "dns_names", wish->dns_names, error) &&
			put_list(part, rules, "san", "ip_addresses", NULL, error) &&
			put_list(part, rules, "san", "uris", NULL, error);

	put_part(out, "san", part);
	return good;
}

static gboolean
put_purposes(json_t *out, const json_t *policy, const struct atlas_wish *wish, GError **error)
{
	const json_t *rules = json_object_get(policy, "extended_key_usages");
	const char *const purposes[] = { wish->emails != NULL ? EMAIL_PROTECTION : SERVER_AUTH,
					 NULL };
	json_t *part = json_object();
	gboolean good =
	    rules == NULL || put_list(part, rules, "extended_key_usages", "ekus", purposes, error);
	json_t *list = json_object_get(part, "ekus");

	if (list != NULL)
		json_object_set(out, "extended_key_usages", list);
	json_decref(part);
	return good;
}

/* Only what the account leaves open; the rest is as it is. */
static void
put_usages(json_t *out, const json_t *policy, const struct atlas_wish *wish)
{
	const json_t *rules = json_object_get(policy, "key_usages");
	const struct {
		const char *name;
		gboolean wanted;
	} usages[] = {
		{ "digital_signature", wish->sign },
		{ "key_encipherment", wish->encrypt && wish->key_kind == KEY_KIND_RSA },
		{ "key_agreement", wish->encrypt && wish->key_kind == KEY_KIND_EC },
	};
	json_t *part = json_object();

	for (gsize i = 0; i < G_N_ELEMENTS(usages); i++)
		if (usages[i].wanted &&
		    presence_parse(json_object_get(rules, usages[i].name)) == OPTIONAL)
			json_object_set_new(part, usages[i].name, json_true());
	put_part(out, "key_usages", part);
}

static gboolean
put_validity(json_t *out, const json_t *policy, const struct atlas_wish *wish, GError **error)
{
	const json_t *rules = json_object_get(policy, "validity");
	gint64 least = json_integer_value(json_object_get(rules, "secondsmin"));
	gint64 most = json_integer_value(json_object_get(rules, "secondsmax"));
	gint64 expiry = json_integer_value(json_object_get(rules, "issuer_expiry"));
	gint64 seconds = wish->seconds;

	if (seconds != 0 && most > 0)
		seconds = MIN(seconds, most);
	if (seconds != 0 && seconds < least)
		return fail_false(error, PS_ERROR_INVALID,
				  "the validation policy of the account takes no validity below %d "
				  "days",
				  (int)((least + 86399) / 86400));
	gint64 until = seconds != 0 ? wish->now + seconds : 0;
	if (until != 0 && expiry > wish->now)
		until = MIN(until, expiry);
	json_object_set_new(out, "validity",
			    json_pack("{s:I, s:I}", "not_before", (json_int_t)wish->now,
				      "not_after", (json_int_t)until));
	return TRUE;
}

static gboolean
check_key(const json_t *policy, const struct atlas_wish *wish, GError **error)
{
	const json_t *rules = json_object_get(policy, "public_key");
	const char *type = text_of(rules, "key_type");
	const json_t *lengths = json_object_get(rules, "allowed_lengths");
	const char *ours = wish->key_kind == KEY_KIND_RSA ? "RSA" : "ECDSA";
	gboolean found = json_array_size(lengths) == 0;
	size_t i;
	json_t *length;

	json_array_foreach(lengths, i, length) found |=
	    json_integer_value(length) == (json_int_t)wish->key_bits;
	if (type != NULL && strcmp(type, ours) != 0)
		return refuse(error, "public_key", ours, type);
	if (found)
		return TRUE;
	g_autofree char *bits = g_strdup_printf("%s of %u bits", ours, wish->key_bits);
	g_autoptr(GString) allowed = g_string_new("allowed:");
	json_array_foreach(lengths, i, length)
	    g_string_append_printf(allowed, " %d", (int)json_integer_value(length));
	return refuse(error, "public_key", bits, allowed->str);
}

/* The text of PEM without the line end at its end. */
static char *
spki_to_pem(GBytes *spki)
{
	gsize length;
	gconstpointer der = g_bytes_get_data(spki, &length);
	g_autofree char *text = g_base64_encode(der, length);
	GString *pem = g_string_new("-----BEGIN PUBLIC KEY-----\n");

	for (const char *p = text; *p != '\0'; p += MIN(strlen(p), 64))
		g_string_append_printf(pem, "%.64s\n", p);
	g_string_append(pem, "-----END PUBLIC KEY-----");
	return g_string_free(pem, FALSE);
}

static void
put_key(json_t *out, const struct atlas_wish *wish, enum atlas_pop pop)
{
	g_autofree char *pem =
	    pop == ATLAS_POP_PKCS10 ? g_strchomp(g_strdup(wish->csr_pem)) : spki_to_pem(wish->spki);

	json_object_set_new(out, "public_key", json_string(pem));
	if (pop != ATLAS_POP_SIGNATURE)
		return;
	gsize length;
	gconstpointer bytes = g_bytes_get_data(wish->signature, &length);
	g_autofree char *signature = g_base64_encode(bytes, length);
	json_object_set_new(out, "public_key_signature", json_string(signature));
}

/* Of what may be chosen, SHA-256 if it is there, else the first. */
static void
put_algorithm(json_t *part, const json_t *rules, const char *name, const char *preferred)
{
	const json_t *rule = json_object_get(rules, name);
	const json_t *list = json_object_get(rule, "list");
	const char *chosen = json_string_value(json_array_get(list, 0));
	size_t i;
	json_t *one;

	if (presence_parse(json_object_get(rule, "presence")) != REQUIRED)
		return;
	json_array_foreach(list, i, one) if (g_strcmp0(json_string_value(one), preferred) == 0)
	    chosen = preferred;
	json_object_set_new(part, name, json_string(chosen != NULL ? chosen : preferred));
}

static void
put_signature(json_t *out, const json_t *policy, const struct atlas_wish *wish)
{
	const json_t *rules = json_object_get(policy, "signature");
	json_t *part = json_object();

	put_algorithm(part, rules, "algorithm", wish->key_kind == KEY_KIND_RSA ? "RSA" : "ECDSA");
	put_algorithm(part, rules, "hash_algorithm", "SHA-256");
	put_part(out, "signature", part);
}

enum atlas_pop
atlas_pop_of(const json_t *policy, const char *configured)
{
	const char *format = text_of(json_object_get(policy, "public_key"), "key_format");
	enum presence presence = presence_parse(json_object_get(policy, "public_key_signature"));

	if (strcmp(configured, "none") == 0)
		return ATLAS_POP_NONE;
	if (strcmp(configured, "signature") == 0)
		return ATLAS_POP_SIGNATURE;
	if (strcmp(configured, "pkcs10") == 0 || g_strcmp0(format, "PKCS10") == 0)
		return ATLAS_POP_PKCS10;
	return presence == REQUIRED || presence == OPTIONAL ? ATLAS_POP_SIGNATURE : ATLAS_POP_NONE;
}

json_t *
atlas_request_build(const json_t *policy, const struct atlas_wish *wish, enum atlas_pop pop,
		    GError **error)
{
	json_t *out = json_object();

	if (!check_key(policy, wish, error) || !check_unfilled(policy, error) ||
	    !put_validity(out, policy, wish, error) ||
	    !put_subject(out, policy, &wish->subject, error) ||
	    !put_san(out, policy, wish, error) || !put_purposes(out, policy, wish, error)) {
		json_decref(out);
		return NULL;
	}
	put_usages(out, policy, wish);
	put_signature(out, policy, wish);
	put_key(out, wish, pop);
	return out;
}

char *
atlas_policy_describe(const json_t *policy)
{
	const json_t *key = json_object_get(policy, "public_key");
	const json_t *emails = json_object_get(json_object_get(policy, "san"), "emails");
	gint64 most =
	    json_integer_value(json_object_get(json_object_get(policy, "validity"), "secondsmax"));
	g_autofree char *list = describe_list(json_object_get(emails, "list"));
	const char *type = text_of(key, "key_type");
	GString *text = g_string_new(NULL);
	size_t i;
	json_t *length;

	g_string_append_printf(text, "keys %s", type != NULL ? type : "of any type");
	json_array_foreach(json_object_get(key, "allowed_lengths"), i, length)
	    g_string_append_printf(text, " %d", (int)json_integer_value(length));
	g_string_append_printf(text, ", at most %d days, addresses that fit %s",
			       (int)MIN(most / 86400, G_MAXINT), *list != '\0' ? list : "nothing");
	return g_string_free(text, FALSE);
}
