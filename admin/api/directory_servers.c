/*
 * directory_servers - directory list, show, set, remove and test.
 */
#include "admin/api/handlers.h"

#include <string.h>
#include <unistd.h>

#include "admin/api/change.h"
#include "milter/gateway.h"
#include "pki/breaker.h"
#include "pki/crypto/cert.h"
#include "pki/directory.h"
#include "pki/keyring.h"
#include "pki/net/ldap.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/tx.h"

#define NAME_MAX_BYTES 64
#define DN_MAX_BYTES 1024
#define ATTRIBUTES_MAX 8
#define DOMAINS_MAX 1000
#define PLACE_MAX 1000

/* ---- showing --------------------------------------------------------------------------------- */

static char *
url_of(const struct directory_row *row)
{
	gboolean ipv6 = strchr(row->host, ':') != NULL;

	return g_strdup_printf("%s://%s%s%s:%d",
			       strcmp(row->security, "ldaps") == 0 ? "ldaps" : "ldap",
			       ipv6 ? "[" : "", row->host, ipv6 ? "]" : "", row->port);
}

/* In words of an administrator's: nobody asks a server that rests. */
static const char *
state_of(const struct directory_row *row, gint64 now)
{
	const struct breaker breaker = { row->failures, row->trips, row->open_until };

	switch (breaker_state(&breaker, now)) {
	case BREAKER_CLOSED:
		return row->failures > 0 ? "failing" : "in order";
	case BREAKER_OPEN:
		return "resting";
	case BREAKER_HALF_OPEN:
		break;
	}
	return "on trial";
}

static json_t *
row_object(const struct call *call, const struct directory_row *row)
{
	g_autofree char *url = url_of(row);
	g_autofree char *domains = g_strjoinv(" ", row->domains);
	json_t *object = json_object();

	json_object_set_new(object, "name", answer_text(row->name));
	json_object_set_new(object, "url", answer_text(url));
	json_object_set_new(object, "domains", answer_text(domains));
	json_object_set_new(object, "state",
			    json_string(state_of(row, clock_now(call->gateway->clock))));
	json_object_set_new(object, "answered", answer_time(row->answered));
	json_object_set_new(object, "failed", answer_time(row->failed));
	json_object_set_new(object, "error", answer_text(row->failures > 0 ? row->last_error : ""));
	return object;
}

json_t *
directory_list(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) rows = directories_all(call->gateway->db, error);
	json_t *items;

	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++)
		json_array_append_new(items, row_object(call, rows->pdata[i]));
	return answer_list(items, NULL);
}

static json_t *
whole_object(const struct call *call, const struct directory_row *row)
{
	json_t *object = row_object(call, row);

	json_object_set_new(object, "domains", answer_texts((const char *const *)row->domains));
	json_object_set_new(object, "tls", json_string(row->security));
	json_object_set_new(object, "ca_file",
			    answer_text(row->ca_file != NULL ? row->ca_file : "system"));
	json_object_set_new(object, "base", answer_text(row->base));
	json_object_set_new(object, "scope", json_string(row->depth));
	json_object_set_new(object, "filter", answer_text(row->filter));
	json_object_set_new(object, "attributes",
			    answer_texts((const char *const *)row->attributes));
	json_object_set_new(object, "bind_dn", answer_text(row->bind_dn));
	json_object_set_new(object, "password", json_string(row->sealed != NULL ? "set" : "unset"));
	json_object_set_new(object, "place", json_integer(row->place));
	json_object_set_new(object, "failures", json_integer(row->failures));
	json_object_set_new(object, "last_error", answer_text(row->last_error));
	if (row->open_until != 0)
		json_object_set_new(object, "not_asked_before", answer_time(row->open_until));
	return object;
}

json_t *
directory_show(struct call *call, GError **error)
{
	CLEANUP(directory_row)
	struct directory_row *row =
	    directories_find(call->gateway->db, call_text(call, "name"), error);

	return row != NULL ? whole_object(call, row) : NULL;
}

/* ---- setting --------------------------------------------------------------------------------- */

static void
set_text(char **member, const char *text)
{
	char *copy = g_strdup(text);

	g_free(*member);
	*member = copy;
}

static gboolean
is_name(const char *name)
{
	return *name != '\0' && strlen(name) <= NAME_MAX_BYTES &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		   strlen(name);
}

static struct directory_row *
row_new(const char *name)
{
	static const char *const attributes[] = { "userCertificate", "userSMIMECertificate", NULL };
	struct directory_row *row = g_new0(struct directory_row, 1);

	row->name = g_strdup(name);
	row->base = g_strdup("");
	row->depth = g_strdup("sub");
	row->filter = g_strdup(DIRECTORY_FILTER_DEFAULT);
	row->security = g_strdup("ldaps");
	row->attributes = g_strdupv((GStrv)attributes);
	row->domains = g_new0(char *, 1);
	row->failed = row->answered = CLOCK_NEVER;
	return row;
}

static gboolean
is_attribute(const char *name)
{
	return *name != '\0' && strlen(name) <= 64 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") ==
		   strlen(name);
}

static gboolean
set_attributes(struct directory_row *row, const char *const *names, GError **error)
{
	if (names[0] == NULL)
		return TRUE;
	if (g_strv_length((GStrv)names) > ATTRIBUTES_MAX)
		return fail_false(error, PS_ERROR_INVALID, "at most %d attributes", ATTRIBUTES_MAX);
	for (guint i = 0; names[i] != NULL; i++) {
		if (!is_attribute(names[i]))
			return fail_false(error, PS_ERROR_INVALID,
					  "an attribute is a name or an object identifier, without "
					  "options: ';binary' is asked for by itself");
		if (g_ascii_strcasecmp(names[i], "userPKCS12") == 0 ||
		    strcmp(names[i], "2.16.840.1.113730.3.1.216") == 0)
			return fail_false(error, PS_ERROR_INVALID,
					  "userPKCS12 holds private keys, which are never fetched");
	}
	g_strfreev(row->attributes);
	row->attributes = g_strdupv((GStrv)names);
	return TRUE;
}

static gboolean
set_url(struct directory_row *row, const char *url, GError **error)
{
	static const char *const depths[] = { "base", "one", "sub" };
	CLEANUP(ldap_target) struct ldap_target *target = NULL;

	if (url == NULL)
		return TRUE;
	target = ldap_target_parse(url, error);
	if (target == NULL)
		return FALSE;
	if (target->host == NULL)
		return fail_false(error, PS_ERROR_INVALID, "the URL names no host");
	set_text(&row->host, target->host);
	row->port = (gint)target->port;
	set_text(&row->security, target->tls ? "ldaps" : "starttls");
	if (*target->base != '\0')
		set_text(&row->base, target->base);
	if (strcmp(target->filter, "(objectClass=*)") != 0)
		return fail_false(error, PS_ERROR_INVALID, "the filter is given with --filter");
	if (target->depth != LDAP_DEPTH_BASE) /* what a URL means that names none */
		set_text(&row->depth, depths[target->depth]);
	return set_attributes(row, (const char *const *)target->attributes, error);
}

static char *
domain_key(const char *text, GError **error)
{
	gboolean below = g_str_has_prefix(text, "*.");
	g_autofree char *key = mailaddr_domain_key(below ? text + 2 : text, error);

	if (key == NULL)
		return NULL;
	return below ? g_strconcat("*.", key, NULL) : g_steal_pointer(&key);
}

static gboolean
set_domains(struct directory_row *row, const char *const *domains, GError **error)
{
	g_autoptr(GStrvBuilder) keys = g_strv_builder_new();

	if (domains[0] == NULL)
		return TRUE;
	if (g_strv_length((GStrv)domains) > DOMAINS_MAX)
		return fail_false(error, PS_ERROR_INVALID, "at most %d domains", DOMAINS_MAX);
	for (guint i = 0; domains[i] != NULL; i++) {
		g_autofree char *key = domain_key(domains[i], error);

		if (key == NULL)
			return FALSE;
		g_strv_builder_add(keys, key);
	}
	g_strfreev(row->domains);
	row->domains = g_strv_builder_end(keys);
	return TRUE;
}

static gboolean
set_ca_file(struct directory_row *row, const char *path, GError **error)
{
	if (path == NULL)
		return TRUE;
	g_clear_pointer(&row->ca_file, g_free);
	if (strcmp(path, "system") == 0)
		return TRUE;
	if (!g_path_is_absolute(path))
		return fail_false(error, PS_ERROR_INVALID,
				  "the CA file is an absolute path on the daemons' hosts");
	if (access(path, R_OK) != 0)
		return fail_false(error, PS_ERROR_INVALID, "the daemon cannot read '%s'", path);
	row->ca_file = g_strdup(path);
	return TRUE;
}

static gboolean
set_dn(char **member, const char *text, const char *what, GError **error)
{
	if (text == NULL)
		return TRUE;
	if (strlen(text) > DN_MAX_BYTES || !g_utf8_validate(text, -1, NULL))
		return fail_false(error, PS_ERROR_INVALID, "%s is too long or no text", what);
	set_text(member, text);
	return TRUE;
}

static gboolean
set_search(const struct call *call, struct directory_row *row, GError **error)
{
	g_auto(GStrv) attributes = call_list(call, "attribute");
	g_auto(GStrv) domains = call_list(call, "domain");
	const char *filter = call_text(call, "filter");
	gint64 place = call_int(call, "place", row->place);

	if (call_text(call, "scope") != NULL)
		set_text(&row->depth, call_text(call, "scope"));
	if (filter != NULL)
		set_text(&row->filter, filter);
	if (ABS(place) > PLACE_MAX)
		return fail_false(error, PS_ERROR_INVALID, "the place is a number up to %d",
				  PLACE_MAX);
	row->place = (gint)place;
	return directory_filter_check(row->filter, error) &&
	       set_dn(&row->base, call_text(call, "base"), "the base", error) &&
	       set_attributes(row, (const char *const *)attributes, error) &&
	       set_domains(row, (const char *const *)domains, error);
}

static gboolean
set_server(const struct call *call, struct directory_row *row, GError **error)
{
	if (!set_url(row, call_text(call, "url"), error))
		return FALSE;
	if (call_text(call, "tls") != NULL)
		set_text(&row->security, call_text(call, "tls"));
	return set_ca_file(row, call_text(call, "ca-file"), error) &&
	       set_dn(&row->bind_dn, call_text(call, "bind-dn"), "the bind DN", error);
}

static void
forget_password(struct directory_row *row)
{
	g_clear_pointer(&row->sealed, g_bytes_unref);
	row->generation = 0;
}

static gboolean
check_whole(const struct directory_row *row, GError **error)
{
	if (row->host == NULL)
		return fail_false(error, PS_ERROR_INVALID, "a new directory needs --url");
	if (row->domains[0] == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "a directory needs --domain: it is asked for these alone");
	if (row->bind_dn != NULL && row->sealed == NULL)
		return fail_false(error, PS_ERROR_INVALID, "the bind needs a password");
	if (row->bind_dn == NULL && row->sealed != NULL)
		return fail_false(error, PS_ERROR_INVALID, "the password needs --bind-dn");
	if (row->bind_dn != NULL && strcmp(row->security, "none") == 0)
		return fail_false(error, PS_ERROR_INVALID, "a password is not sent without TLS");
	return TRUE;
}

/* Where the password goes, and how it is known that it goes there. */
static char *
destination(const struct directory_row *row)
{
	return g_strdup_printf("%s %d %s %s %s", row->host != NULL ? row->host : "", row->port,
			       row->security, row->ca_file != NULL ? row->ca_file : "",
			       row->bind_dn != NULL ? row->bind_dn : "");
}

static gboolean
seal_password(struct call *call, struct directory_row *row, GError **error)
{
	CLEANUP(secret) struct secret *password = call_password(call, "password");

	if (password == NULL)
		return TRUE;
	if (call->role < ROLE_KEYS)
		return fail_false(error, PS_ERROR_DENIED, "a password is set with the role 'keys'");
	if (secret_length(password) == 0)
		return fail_false(error, PS_ERROR_INVALID, "the password is empty");
	forget_password(row);
	row->sealed = keyring_seal(call->gateway->keyring, "directory_server", row->name, password,
				   &row->generation, error);
	return row->sealed != NULL;
}

/* Whoever may not read the password must not have it sent somewhere else. */
static gboolean
change_row(struct call *call, struct directory_row *row, GError **error)
{
	g_autofree char *before = destination(row);
	g_autofree char *after = NULL;
	gboolean had_password = row->sealed != NULL;

	if (call_flag(call, "anonymous")) {
		g_clear_pointer(&row->bind_dn, g_free);
		forget_password(row);
		had_password = FALSE;
	}
	if (!set_server(call, row, error) || !set_search(call, row, error) ||
	    !seal_password(call, row, error))
		return FALSE;
	after = destination(row);
	if (had_password && strcmp(before, after) != 0 && call_text(call, "password") == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "the password would go elsewhere: give it again, or --anonymous");
	return check_whole(row, error);
}

static json_t *
put_row(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	struct call *call = change->call;
	const char *name = call_text(call, "name");
	g_autoptr(GError) absent = NULL;
	CLEANUP(directory_row) struct directory_row *row = directories_lock(tx, name, &absent);

	(void)data;
	if (row == NULL && !g_error_matches(absent, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&absent));
		return NULL;
	}
	if (row == NULL)
		row = row_new(name);
	if (!change_row(call, row, error) || !directories_put(tx, row, error))
		return NULL;
	row->failures = row->trips = 0;
	row->open_until = 0;
	g_autofree char *url = url_of(row);
	change->object = g_strdup(name);
	change->detail = g_strdup(url);
	return whole_object(call, row);
}

json_t *
directory_set(struct call *call, GError **error)
{
	if (!is_name(call_text(call, "name")))
		return fail(error, PS_ERROR_INVALID,
			    "a directory's name has letters, digits, '.', '_' and '-', at most %d",
			    NAME_MAX_BYTES);
	return change_run(call, put_row, NULL, error);
}

static json_t *
remove_rows(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const char *const *names = data;
	int count = 0;

	for (; names[count] != NULL; count++)
		if (!directories_delete(tx, names[count], error))
			return NULL;
	change->object = g_strjoinv(" ", (GStrv)names);
	return json_pack("{s:i}", "removed", count);
}

json_t *
directory_remove(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "names");

	return change_run(call, remove_rows, names, error);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static json_t *
reply_object(const struct directory_reply *reply)
{
	json_t *object = json_object();
	json_t *certs = json_array();

	for (guint i = 0; i < reply->certs->len; i++)
		json_array_append_new(certs, answer_text(cert_thumbprint(reply->certs->pdata[i])));
	json_object_set_new(object, "directory", answer_text(reply->server));
	json_object_set_new(object, "outcome", json_string(directory_outcome_name(reply->outcome)));
	json_object_set_new(object, "certificates", json_integer((json_int_t)reply->certs->len));
	json_object_set_new(object, "thumbprints", certs);
	json_object_set_new(object, "note", answer_text(reply->note));
	return object;
}

json_t *
directory_test(struct call *call, GError **error)
{
	struct gateway *gateway = call->gateway;
	const struct directory directory = {
		.db = gateway->db,
		.clock = gateway->clock,
		.keyring = gateway->keyring,
		.trust = gateway->trust,
		.preferences = gateway->preferences,
		.settings = gateway_settings(gateway),
	};
	CLEANUP(mailaddr) struct mailaddr *address = call_address(call, "address", error);
	g_autoptr(GPtrArray) replies = NULL;
	json_t *items;

	if (address == NULL)
		return NULL;
	replies = directory_try(&directory, call_text(call, "name"), address, error);
	if (replies == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < replies->len; i++) {
		const struct directory_reply *reply = replies->pdata[i];

		if (reply->outcome == DIRECTORY_FAILED)
			call->exit_status = 1;
		json_array_append_new(items, reply_object(reply));
	}
	return answer_list(items, NULL);
}
