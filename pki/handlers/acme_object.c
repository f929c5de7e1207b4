/*
 * acme_object - strict readers of ACME's JSON.
 */
#include "pki/handlers/acme_object.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/error.h"

#define TEXT_MAX_BYTES 2000
#define TOKEN_MAX_BYTES 500
#define NAME_MAX_BYTES 1000
#define CHALLENGES_MAX 20
#define SUBPROBLEMS_MAX 20
#define ORDERS_MAX 1000
#define LINKS_MAX 20
#define PREFIX "urn:ietf:params:acme:error:"

static const char *const status_names[] = {
	[ACME_PENDING] = "pending", [ACME_READY] = "ready",     [ACME_PROCESSING] = "processing",
	[ACME_VALID] = "valid",     [ACME_INVALID] = "invalid", [ACME_DEACTIVATED] = "deactivated",
	[ACME_EXPIRED] = "expired", [ACME_REVOKED] = "revoked",
};

/* ---- values ---------------------------------------------------------------------------------- */

gboolean
acme_url_is_good(const char *url)
{
	gsize length = strlen(url);

	if (length > ACME_URL_MAX_BYTES || !g_str_has_prefix(url, "https://") || length <= 8)
		return FALSE;
	for (const char *p = url; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("\"\\<>^`{|}", *p) != NULL)
			return FALSE;
	return TRUE;
}

static const char *
text_of(const json_t *object, const char *name, gsize max_bytes)
{
	const json_t *member = json_object_get(object, name);

	if (!json_is_string(member) || json_string_length(member) > max_bytes ||
	    strlen(json_string_value(member)) != json_string_length(member))
		return NULL;
	return json_string_value(member);
}

static const char *
url_of(const json_t *object, const char *name)
{
	const char *url = text_of(object, name, ACME_URL_MAX_BYTES);

	return url != NULL && acme_url_is_good(url) ? url : NULL;
}

static gboolean
is_token(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && *p != '-' && *p != '_')
			return FALSE;
	return *text != '\0';
}

static gboolean
status_read(const json_t *object, const char *what, enum acme_status *status, GError **error)
{
	const char *name = text_of(object, "status", 64);

	for (guint s = 0; name != NULL && s < G_N_ELEMENTS(status_names); s++)
		if (strcmp(name, status_names[s]) == 0) {
			*status = (enum acme_status)s;
			return TRUE;
		}
	return fail_false(error, PS_ERROR_INVALID, "the server's %s has no status that is known",
			  what);
}

/* Absent or not a time: not said. */
static gint64
time_of(const json_t *object, const char *name)
{
	const char *text = text_of(object, name, 64);
	gint64 seconds;

	return text != NULL && clock_parse(text, &seconds, NULL) ? seconds : CLOCK_NEVER;
}

static GStrv
urls_of(const json_t *list, gsize max)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	const json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > max)
		return NULL;
	json_array_foreach((json_t *)list, i, item)
	{
		const char *url = json_string_value(item);
		if (url == NULL || !acme_url_is_good(url))
			return NULL;
		g_strv_builder_add(builder, url);
	}
	return g_strv_builder_end(builder);
}

/* ---- directory ------------------------------------------------------------------------------- */

void
acme_directory_free(struct acme_directory *directory)
{
	if (directory == NULL)
		return;
	g_free(directory->new_nonce);
	g_free(directory->new_account);
	g_free(directory->new_order);
	g_free(directory->revoke_cert);
	g_free(directory->key_change);
	g_free(directory->renewal_info);
	g_free(directory->terms);
	g_strfreev(directory->profiles);
	g_free(directory);
}

static GStrv
profiles_of(const json_t *meta)
{
	const json_t *profiles = json_object_get(meta, "profiles");
	const char *name;
	const json_t *value;

	if (!json_is_object(profiles) || json_object_size(profiles) > ACME_IDENTIFIERS_MAX)
		return NULL;
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	json_object_foreach((json_t *)profiles, name, value)
	{
		(void)value;
		g_strv_builder_add(builder, name);
	}
	return g_strv_builder_end(builder);
}

struct acme_directory *
acme_directory_read(const json_t *json, GError **error)
{
	const json_t *meta = json_object_get(json, "meta");
	CLEANUP(acme_directory) struct acme_directory *read = g_new0(struct acme_directory, 1);

	read->new_nonce = g_strdup(url_of(json, "newNonce"));
	read->new_account = g_strdup(url_of(json, "newAccount"));
	read->new_order = g_strdup(url_of(json, "newOrder"));
	read->revoke_cert = g_strdup(url_of(json, "revokeCert"));
	read->key_change = g_strdup(url_of(json, "keyChange"));
	read->renewal_info = g_strdup(url_of(json, "renewalInfo"));
	if (read->new_nonce == NULL || read->new_account == NULL || read->new_order == NULL ||
	    read->revoke_cert == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "what is at the directory's URL is no directory of an ACME server");
	read->terms = g_strdup(text_of(meta, "termsOfService", ACME_URL_MAX_BYTES));
	read->eab_required = json_is_true(json_object_get(meta, "externalAccountRequired"));
	read->profiles = profiles_of(meta);
	return g_steal_pointer(&read);
}

/* ---- problems -------------------------------------------------------------------------------- */

void
acme_problem_free(struct acme_problem *problem)
{
	if (problem == NULL)
		return;
	g_free(problem->type);
	g_free(problem->detail);
	g_strfreev(problem->subtypes);
	g_free(problem);
}

static const char *
without_prefix(const char *type)
{
	return g_str_has_prefix(type, PREFIX) ? type + strlen(PREFIX) : type;
}

/* "detail; a.example: detail of it" */
static void
add_below(struct acme_problem *problem, const json_t *list)
{
	g_autoptr(GStrvBuilder) types = g_strv_builder_new();
	g_autoptr(GString) text = g_string_new(problem->detail);
	const json_t *item;
	size_t i;

	json_array_foreach((json_t *)list, i, item)
	{
		const char *type = text_of(item, "type", 200);
		const char *detail = text_of(item, "detail", TEXT_MAX_BYTES);
		const char *name =
		    text_of(json_object_get(item, "identifier"), "value", NAME_MAX_BYTES);

		if (i >= SUBPROBLEMS_MAX)
			break;
		if (type != NULL)
			g_strv_builder_add(types, without_prefix(type));
		if (detail != NULL && text->len < TEXT_MAX_BYTES)
			g_string_append_printf(text, "%s%s%s%s", text->len > 0 ? "; " : "",
					       name != NULL ? name : "", name != NULL ? ": " : "",
					       detail);
	}
	problem->subtypes = g_strv_builder_end(types);
	g_free(problem->detail);
	problem->detail = g_strdup(text->str);
}

struct acme_problem *
acme_problem_read(const json_t *json)
{
	const char *type = text_of(json, "type", 200);
	const char *detail = text_of(json, "detail", TEXT_MAX_BYTES);

	if (type == NULL)
		return NULL;
	struct acme_problem *problem = g_new0(struct acme_problem, 1);
	problem->type = g_strdup(without_prefix(type));
	problem->detail = g_strdup(detail != NULL ? detail : "");
	add_below(problem, json_object_get(json, "subproblems"));
	return problem;
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void
identifier_free(gpointer data)
{
	struct acme_identifier *identifier = data;

	g_free(identifier->type);
	g_free(identifier->value);
	g_free(identifier);
}

void
acme_order_free(struct acme_order *order)
{
	if (order == NULL)
		return;
	g_clear_pointer(&order->identifiers, g_ptr_array_unref);
	g_strfreev(order->authorizations);
	g_free(order->finalize);
	g_free(order->certificate);
	acme_problem_free(order->problem);
	g_free(order);
}

static gboolean
identifiers_read(const json_t *list, GPtrArray *to)
{
	const json_t *item;
	size_t i;

	if (!json_is_array(list) || json_array_size(list) > ACME_IDENTIFIERS_MAX)
		return FALSE;
	json_array_foreach((json_t *)list, i, item)
	{
		const char *type = text_of(item, "type", 64);
		const char *value = text_of(item, "value", NAME_MAX_BYTES);
		if (type == NULL || value == NULL)
			return FALSE;
		struct acme_identifier *identifier = g_new0(struct acme_identifier, 1);
		identifier->type = g_strdup(type);
		identifier->value = g_strdup(value);
		g_ptr_array_add(to, identifier);
	}
	return TRUE;
}

struct acme_order *
acme_order_read(const json_t *json, GError **error)
{
	CLEANUP(acme_order) struct acme_order *order = g_new0(struct acme_order, 1);

	order->identifiers = g_ptr_array_new_with_free_func(identifier_free);
	if (!status_read(json, "order", &order->status, error))
		return NULL;
	order->authorizations =
	    urls_of(json_object_get(json, "authorizations"), ACME_IDENTIFIERS_MAX);
	order->finalize = g_strdup(url_of(json, "finalize"));
	order->certificate = g_strdup(url_of(json, "certificate"));
	order->expires = time_of(json, "expires");
	order->problem = acme_problem_read(json_object_get(json, "error"));
	if (order->authorizations == NULL || order->finalize == NULL ||
	    !identifiers_read(json_object_get(json, "identifiers"), order->identifiers))
		return fail(error, PS_ERROR_INVALID,
			    "the server's order lacks what RFC 8555 section 7.1.3 asks for");
	if (order->status == ACME_VALID && order->certificate == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "the server's order is valid but names no certificate");
	return g_steal_pointer(&order);
}

GStrv
acme_orders_read(const json_t *json, GError **error)
{
	GStrv urls = urls_of(json_object_get(json, "orders"), ORDERS_MAX);

	if (urls == NULL)
		return fail(error, PS_ERROR_INVALID, "the server's list of orders is none");
	return urls;
}

/* ---- authorizations -------------------------------------------------------------------------- */

static void
challenge_free(gpointer data)
{
	struct acme_challenge *challenge = data;

	g_free(challenge->type);
	g_free(challenge->url);
	g_free(challenge->token);
	g_free(challenge->from);
	acme_problem_free(challenge->problem);
	g_free(challenge);
}

void
acme_authorization_free(struct acme_authorization *authorization)
{
	if (authorization == NULL)
		return;
	g_free(authorization->identifier.type);
	g_free(authorization->identifier.value);
	g_clear_pointer(&authorization->challenges, g_ptr_array_unref);
	g_free(authorization);
}

/* One that cannot be read is of no use, the others may be. */
static struct acme_challenge *
challenge_read(const json_t *json)
{
	const char *type = text_of(json, "type", 64);
	const char *url = url_of(json, "url");
	const char *token = text_of(json, "token", TOKEN_MAX_BYTES);
	enum acme_status status;

	if (type == NULL || url == NULL || !status_read(json, "challenge", &status, NULL) ||
	    (token != NULL && !is_token(token)))
		return NULL;
	struct acme_challenge *challenge = g_new0(struct acme_challenge, 1);
	challenge->status = status;
	challenge->type = g_strdup(type);
	challenge->url = g_strdup(url);
	challenge->token = g_strdup(token);
	challenge->from = g_strdup(text_of(json, "from", NAME_MAX_BYTES));
	challenge->problem = acme_problem_read(json_object_get(json, "error"));
	return challenge;
}

struct acme_authorization *
acme_authorization_read(const json_t *json, GError **error)
{
	const json_t *identifier = json_object_get(json, "identifier");
	const json_t *list = json_object_get(json, "challenges");
	CLEANUP(acme_authorization)
	struct acme_authorization *read = g_new0(struct acme_authorization, 1);
	const json_t *item;
	size_t i;

	read->challenges = g_ptr_array_new_with_free_func(challenge_free);
	if (!status_read(json, "authorization", &read->status, error))
		return NULL;
	read->identifier.type = g_strdup(text_of(identifier, "type", 64));
	read->identifier.value = g_strdup(text_of(identifier, "value", NAME_MAX_BYTES));
	read->expires = time_of(json, "expires");
	read->wildcard = json_is_true(json_object_get(json, "wildcard"));
	if (read->identifier.type == NULL || read->identifier.value == NULL ||
	    !json_is_array(list) || json_array_size(list) > CHALLENGES_MAX)
		return fail(
		    error, PS_ERROR_INVALID,
		    "the server's authorization lacks what RFC 8555 section 7.1.4 asks for");
	json_array_foreach((json_t *)list, i, item)
	{
		struct acme_challenge *challenge = challenge_read(item);
		if (challenge != NULL)
			g_ptr_array_add(read->challenges, challenge);
	}
	return g_steal_pointer(&read);
}

const struct acme_challenge *
acme_challenge_of(const struct acme_authorization *authorization, const char *type)
{
	for (guint i = 0; i < authorization->challenges->len; i++) {
		const struct acme_challenge *challenge =
		    g_ptr_array_index(authorization->challenges, i);
		if (strcmp(challenge->type, type) == 0)
			return challenge;
	}
	return NULL;
}

/* ---- renewal, links -------------------------------------------------------------------------- */

gboolean
acme_window_read(const json_t *json, gint64 *start, gint64 *end, GError **error)
{
	const json_t *window = json_object_get(json, "suggestedWindow");

	*start = time_of(window, "start");
	*end = time_of(window, "end");
	if (*start == CLOCK_NEVER || *end == CLOCK_NEVER || *end <= *start)
		return fail_false(error, PS_ERROR_INVALID,
				  "the server suggests no window for the renewal");
	return TRUE;
}

/* Does one of the parameters after the target name the relation? */
static gboolean
has_relation(const char *parameters, gsize length, const char *relation)
{
	g_autofree char *text = g_ascii_strdown(parameters, (gssize)length);
	g_auto(GStrv) parts = g_strsplit(text, ";", LINKS_MAX);

	for (guint i = 0; parts[i] != NULL; i++) {
		char *part = g_strstrip(parts[i]);
		if (!g_str_has_prefix(part, "rel"))
			continue;
		part = g_strstrip(part + 3);
		if (*part != '=')
			continue;
		part = g_strstrip(part + 1);
		gsize size = strlen(part);
		if (size >= 2 && *part == '"' && part[size - 1] == '"') {
			part[size - 1] = '\0';
			part++;
		}
		g_auto(GStrv) names = g_strsplit(part, " ", LINKS_MAX);
		if (g_strv_contains((const char *const *)names, relation))
			return TRUE;
	}
	return FALSE;
}

GStrv
acme_links(const char *field, const char *relation)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	const char *p = field != NULL ? field : "";

	for (guint n = 0; n < LINKS_MAX; n++) {
		const char *open = strchr(p, '<');
		const char *close = open != NULL ? strchr(open, '>') : NULL;
		if (close == NULL)
			break;
		const char *next = strchr(close, '<');
		gsize rest = next != NULL ? (gsize)(next - close - 1) : strlen(close + 1);
		/* The comma before the next target is no part of the parameters. */
		while (next != NULL && rest > 0 && strchr(", \t", close[rest]) != NULL)
			rest--;
		g_autofree char *url = g_strndup(open + 1, (gsize)(close - open - 1));
		if (has_relation(close + 1, rest, relation) && acme_url_is_good(url))
			g_strv_builder_add(builder, url);
		p = next != NULL ? next : close + 1 + rest;
	}
	return g_strv_builder_end(builder);
}
