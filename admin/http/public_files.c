/*
 * public_files - revocation lists and CA certificates, from memory until one of them changes.
 */
#include <string.h>

#include "admin/http/public_private.h"
#include "milter/gateway.h"
#include "pki/crypto/cert.h"
#include "pki/published.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/cache.h"
#include "store/db/changelog.h"
#include "store/publications.h"

#define KEEP_SECONDS 3600 /* so late a cache of others learns of a new one */
#define COST_BYTES 512
#define NAME_MAX_BYTES 160

struct public_answer *
public_file_peek(const struct public_request *request, gpointer data)
{
	struct public *public = data;

	return cache_get(public->files, request->path);
}

static struct public_answer *
not_found(void)
{
	return public_answer_text(404, "there is nothing here");
}

static struct public_answer *
unavailable(const GError *why)
{
	log_warning("something public could not be given", "error", why->message);
	return public_answer_text(503, "try again later");
}

void
public_keep(struct public *public, const struct public_request *request,
	    struct public_answer *answer, gsize size, gint64 until, const GArray *tags,
	    struct cache_moment began)
{
	cache_put(public->files, request->path, answer, size + COST_BYTES, until,
		  (const change_tag *)(const void *)tags->data, tags->len, began);
}

GArray *
public_tags(void)
{
	GArray *tags = change_tags_new();

	change_tags_add(tags, CHANGE_CA, NULL);
	change_tags_add(tags, CHANGE_ROOT, NULL);
	change_tags_add(tags, CHANGE_ISSUER, NULL);
	return tags;
}

/* "NAME.crl" or "NAME-N.crl"; NAME is hex. */
static gboolean
read_list_name(const char *text, char **key_id, gint64 *partition)
{
	gsize length = strlen(text);
	char *end;

	if (length > NAME_MAX_BYTES || !g_str_has_suffix(text, ".crl"))
		return FALSE;
	g_autofree char *name = g_strndup(text, length - 4);
	char *dash = strchr(name, '-');
	*partition = 0;
	if (dash != NULL) {
		*dash = '\0';
		if (!g_ascii_isdigit(dash[1]) || (dash[1] == '0' && dash[2] != '\0'))
			return FALSE;
		*partition = g_ascii_strtoll(dash + 1, &end, 10);
		if (*end != '\0' || *partition > G_MAXINT32)
			return FALSE;
	}
	if (*name == '\0' || !hex_is(name))
		return FALSE;
	*key_id = g_steal_pointer(&name);
	return TRUE;
}

struct public_answer *
public_crl_handle(const struct public_request *request, gpointer data)
{
	struct public *public = data;
	struct cache_moment began = cache_moment(public->files);
	g_autofree char *key_id = NULL;
	g_autoptr(GError) why = NULL;
	gint64 partition;

	if (!read_list_name(request->rest, &key_id, &partition))
		return not_found();
	CLEANUP(published_list)
	struct published_list *list =
	    published_lists_find(public->gateway->db, key_id, partition, &why);
	if (list == NULL)
		return g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND) ? not_found()
									  : unavailable(why);
	gint64 now = clock_now(public->gateway->clock);
	const struct public_answer_spec spec = {
		.status = 200,
		.content_type = "application/pkix-crl",
		.body = list->der,
		.last_modified = list->this_update,
		.expires =
		    list->next_update != CLOCK_NEVER ? list->next_update : now + KEEP_SECONDS,
		.keep_seconds = KEEP_SECONDS,
	};
	struct public_answer *answer = public_answer_new(&spec);
	g_autoptr(GArray) tags = public_tags();
	change_tags_add(tags, CHANGE_CRL, list->issuer_key);
	public_keep(public, request, answer, g_bytes_get_size(list->der), CLOCK_NEVER, tags, began);
	return answer;
}

static const struct {
	const char *suffix, *type;
	enum published_form form;
} forms[] = {
	{ ".cer", "application/pkix-cert", PUBLISHED_DER },
	{ ".pem", "application/x-pem-file", PUBLISHED_PEM },
	{ ".p7c", "application/pkcs7-mime", PUBLISHED_PKCS7 },
};

static gint
form_of(const char *name)
{
	for (gsize i = 0; i < G_N_ELEMENTS(forms); i++)
		if (g_str_has_suffix(name, forms[i].suffix))
			return (gint)i;
	return -1;
}

struct public_answer *
public_ca_handle(const struct public_request *request, gpointer data)
{
	struct public *public = data;
	struct cache_moment began = cache_moment(public->files);
	gsize length = strlen(request->rest);
	gint form = form_of(request->rest);
	g_autoptr(GError) why = NULL;

	if (form < 0 || length <= 4 || length > NAME_MAX_BYTES)
		return not_found();
	g_autofree char *key_id = g_strndup(request->rest, length - 4);
	if (!hex_is(key_id))
		return not_found();
	g_autoptr(GPtrArray) cas = published_cas(public->gateway->db, &why);
	if (cas == NULL)
		return unavailable(why);
	const struct published_ca *ca = published_cas_find(cas, key_id);
	if (ca == NULL)
		return not_found();
	g_autoptr(GBytes) body = published_ca_write(ca, forms[form].form, &why);
	if (body == NULL)
		return unavailable(why);
	const struct public_answer_spec spec = {
		.status = 200,
		.content_type = forms[form].type,
		.body = body,
		.last_modified = cert_not_before(ca->cert),
		.expires = clock_now(public->gateway->clock) + 24 * KEEP_SECONDS,
	};
	struct public_answer *answer = public_answer_new(&spec);
	g_autoptr(GArray) tags = public_tags();
	/* The date until which it may be kept moves on. */
	public_keep(public, request, answer, g_bytes_get_size(body),
		    spec.expires - 12 * KEEP_SECONDS, tags, began);
	return answer;
}
