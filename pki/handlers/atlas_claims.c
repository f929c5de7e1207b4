/*
 * atlas_claims - the endpoints below /claims/domains.
 */
#include "pki/handlers/atlas_claims.h"

#include <string.h>

#include "pki/handlers/atlas_session.h"
#include "pki/net/dns_txt.h"
#include "store/base/error.h"
#include "store/base/printable.h"

#define PREFIX "globalsign-domain-verification="
#define ID_MAX_BYTES 128
#define DOMAIN_MAX_BYTES 255
#define TOKEN_MAX_BYTES 512
#define LOG_MAX 100
#define PAGE 100
#define PAGES_MAX 50

static void
line_free(gpointer data)
{
	struct atlas_claim_line *line = data;

	g_free(line->status);
	g_free(line->text);
	g_free(line);
}

void
atlas_claim_free(struct atlas_claim *claim)
{
	if (claim == NULL)
		return;
	g_free(claim->id);
	g_free(claim->domain);
	g_free(claim->status);
	g_free(claim->token);
	g_ptr_array_unref(claim->log);
	g_free(claim);
}

/* --- what it says --- */

/* Numbers and names of ours alone: they go into paths. */
static gboolean
is_plain(const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if (!g_ascii_isalnum(*p) && strchr("-_.", *p) == NULL)
			return FALSE;
	return *text != '\0' && *text != '.';
}

static char *
domain_of(const char *text)
{
	gsize length = text != NULL ? strlen(text) : 0;

	if (length > 0 && text[length - 1] == '.')
		length--;
	return g_ascii_strdown(text != NULL ? text : "", (gssize)length);
}

static void
read_log(const json_t *log, GPtrArray *lines)
{
	for (size_t i = 0; i < MIN(json_array_size(log), LOG_MAX); i++) {
		const json_t *row = json_array_get(log, i);
		struct atlas_claim_line *line = g_new0(struct atlas_claim_line, 1);

		line->status = g_strdup(peer_json_text(row, "status", 20));
		line->text = g_strdup(peer_json_text(row, "description", 1000));
		line->at = (gint64)json_integer_value(json_object_get(row, "timestamp"));
		g_ptr_array_add(lines, line);
	}
}

/* domain, status: where the answer does not tell. NULL: it is no claim. */
static struct atlas_claim *
read_claim(const json_t *row, const char *domain, const char *status)
{
	const char *id = peer_json_text(row, "id", ID_MAX_BYTES);
	const char *named = peer_json_text(row, "domain", DOMAIN_MAX_BYTES);
	const char *state = peer_json_text(row, "status", 20);

	if (id == NULL || !is_plain(id))
		return NULL;
	struct atlas_claim *claim = g_new0(struct atlas_claim, 1);
	claim->id = g_strdup(id);
	claim->domain = domain_of(named != NULL ? named : domain);
	claim->status = g_strdup(state != NULL ? state : status);
	claim->token = g_strdup(peer_json_text(row, "token", TOKEN_MAX_BYTES));
	claim->created = (gint64)json_integer_value(json_object_get(row, "created_at"));
	claim->expires = (gint64)json_integer_value(json_object_get(row, "expires_at"));
	claim->assert_by = (gint64)json_integer_value(json_object_get(row, "assert_by"));
	claim->log = g_ptr_array_new_with_free_func(line_free);
	read_log(json_object_get(row, "log"), claim->log);
	return claim;
}

/* --- one act each --- */

/* JSON of an answer with this status; NULL with *error. body may be NULL. */
static json_t *
ask(const struct handler_context *context, const char *method, const char *path, const json_t *body,
    unsigned int *status, GError **error)
{
	struct atlas atlas = { 0 };
	struct handler_answer answer = { 0 };
	g_autoptr(GError) why = NULL;
	json_t *document = NULL;

	if (atlas_start(&atlas, context, &answer, &why)) {
		CLEANUP(http_answer)
		struct http_answer *got =
		    atlas_say(&atlas, method, path, body, FALSE, &answer, &why);

		*status = got != NULL ? got->status : 0;
		if (got != NULL && (got->status == 204 || got->status == 201) &&
		    g_bytes_get_size(got->body) == 0)
			document = json_object();
		else if (got != NULL && got->status >= 200 && got->status < 300)
			document = peer_json(got, &why);
		else if (got != NULL)
			atlas_judge(&atlas, got, FALSE, &answer);
	}
	if (document == NULL && why == NULL && *status == 404)
		fail(&why, PS_ERROR_NOT_FOUND, "there is no such claim");
	else if (document == NULL && why == NULL)
		peer_fail(&answer, &why);
	handler_answer_clear(&answer);
	(void)atlas_end(&atlas, &why, error);
	return document;
}

static gboolean
check_domain(const char *domain, GError **error)
{
	if (strlen(domain) <= DOMAIN_MAX_BYTES && is_plain(domain) && strchr(domain, '.') != NULL)
		return TRUE;
	g_autofree char *shown = printable(domain);
	return fail_false(error, PS_ERROR_INVALID,
			  "'%s' is no domain: example.org, with A-labels for other letters", shown);
}

GPtrArray *
atlas_claims(const struct handler_context *context, const char *status, GError **error)
{
	g_autoptr(GPtrArray) claims =
	    g_ptr_array_new_with_free_func((GDestroyNotify)atlas_claim_free);

	for (int page = 1; page <= PAGES_MAX; page++) {
		g_autofree char *path =
		    g_strdup_printf("/claims/domains?page=%d&per_page=%d%s%s", page, PAGE,
				    status != NULL ? "&status=" : "", status != NULL ? status : "");
		unsigned int code = 0;
		json_t *rows = ask(context, "GET", path, NULL, &code, error);

		if (rows == NULL)
			return NULL;
		size_t count = json_array_size(rows);
		for (size_t i = 0; i < count; i++) {
			struct atlas_claim *claim = read_claim(json_array_get(rows, i), NULL, NULL);
			if (claim != NULL)
				g_ptr_array_add(claims, claim);
		}
		json_decref(rows);
		if (count < PAGE)
			break;
	}
	return g_steal_pointer(&claims);
}

/* The newest of a domain among these; stolen from the list. */
static struct atlas_claim *
newest_of(GPtrArray *claims, const char *which)
{
	g_autofree char *domain = domain_of(which);
	guint found = claims->len;

	for (guint i = 0; i < claims->len; i++) {
		const struct atlas_claim *claim = g_ptr_array_index(claims, i);

		if (strcmp(claim->domain, domain) == 0 &&
		    (found == claims->len ||
		     claim->created >=
			 ((const struct atlas_claim *)g_ptr_array_index(claims, found))->created))
			found = i;
	}
	return found < claims->len ? g_ptr_array_steal_index(claims, found) : NULL;
}

struct atlas_claim *
atlas_claim_find(const struct handler_context *context, const char *which, GError **error)
{
	g_autofree char *shown = printable(which);
	unsigned int code = 0;

	if (strchr(which, '.') != NULL) {
		g_autoptr(GPtrArray) claims = atlas_claims(context, NULL, error);
		struct atlas_claim *claim = claims != NULL ? newest_of(claims, which) : NULL;

		if (claim == NULL && claims != NULL)
			fail(error, PS_ERROR_NOT_FOUND, "there is no claim for the domain %s",
			     shown);
		return claim;
	}
	if (!is_plain(which))
		return fail(error, PS_ERROR_INVALID, "'%s' is neither a domain nor a claim's id",
			    shown);
	g_autofree char *path = g_strconcat("/claims/domains/", which, NULL);
	json_t *row = ask(context, "GET", path, NULL, &code, error);
	struct atlas_claim *claim = row != NULL ? read_claim(row, NULL, NULL) : NULL;
	if (row != NULL && claim == NULL)
		fail(error, PS_ERROR_INVALID, "the answer is no claim");
	json_decref(row);
	return claim;
}

struct atlas_claim *
atlas_claim_add(const struct handler_context *context, const char *domain, GError **error)
{
	g_autofree char *name = domain_of(domain);
	unsigned int code = 0;

	if (!check_domain(name, error))
		return NULL;
	g_autoptr(GPtrArray) waiting = atlas_claims(context, "PENDING", error);
	struct atlas_claim *claim = waiting != NULL ? newest_of(waiting, name) : NULL;
	if (waiting == NULL || claim != NULL)
		return claim;
	g_autofree char *path = g_strconcat("/claims/domains/", name, NULL);
	json_t *row = ask(context, "POST", path, NULL, &code, error);
	claim = row != NULL ? read_claim(row, name, "PENDING") : NULL;
	if (row != NULL && claim == NULL)
		fail(error, PS_ERROR_INVALID, "the answer is no claim");
	json_decref(row);
	return claim;
}

gboolean
atlas_claim_validate(const struct handler_context *context, const struct atlas_claim *claim,
		     const char *authorization_domain, gboolean *verified, GError **error)
{
	g_autofree char *path = g_strconcat("/claims/domains/", claim->id, "/dns", NULL);
	g_autofree char *place = domain_of(authorization_domain);
	gboolean elsewhere = *place != '\0' && strcmp(place, claim->domain) != 0;
	unsigned int code = 0;

	if (elsewhere && !check_domain(place, error))
		return FALSE;
	/* An empty one must not be sent. */
	json_t *body = elsewhere ? json_pack("{s:s}", "authorization_domain", place) : NULL;
	json_t *answer = ask(context, "POST", path, body, &code, error);
	gboolean good = answer != NULL;
	json_decref(body);
	json_decref(answer);
	*verified = good && code == 204;
	return good;
}

gboolean
atlas_claim_delete(const struct handler_context *context, const char *id, GError **error)
{
	g_autofree char *path = g_strconcat("/claims/domains/", id, NULL);
	unsigned int code = 0;
	json_t *answer = ask(context, "DELETE", path, NULL, &code, error);
	gboolean good = answer != NULL;

	json_decref(answer);
	return good;
}

/* --- the record --- */

const char *
atlas_claim_place(const struct handler_context *context, const struct atlas_claim *claim)
{
	g_autofree char *name = g_strdup_printf("claims.%s.authorization_domain", claim->domain);
	const char *place = handler_config_is_set(context->config, name)
				? handler_config_text(context->config, name)
				: "";

	return *place != '\0' ? place : claim->domain;
}

/* The prefix is there once, whether the peer gives its token with it or without. */
char *
atlas_claim_value(const struct atlas_claim *claim)
{
	if (claim->token == NULL || *claim->token == '\0')
		return NULL;
	return g_strconcat(g_str_has_prefix(claim->token, PREFIX) ? "" : PREFIX, claim->token,
			   NULL);
}

gboolean
atlas_claim_published(const struct handler_context *context, const struct atlas_claim *claim,
		      const char *place, gboolean *found, GError **error)
{
	g_autofree char *value = atlas_claim_value(claim);
	g_auto(GStrv) texts =
	    dns_txt(place, handler_config_text(context->config, "claims.resolver"), error);

	*found =
	    texts != NULL && value != NULL && g_strv_contains((const char *const *)texts, value);
	return texts != NULL;
}
