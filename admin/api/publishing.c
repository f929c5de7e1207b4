/*
 * publishing - ca publish, unpublish and published.
 */
#include "admin/api/handlers.h"

#include <string.h>
#include <unistd.h>

#include "admin/api/change.h"
#include "milter/gateway.h"
#include "pki/keyring.h"
#include "pki/net/ldap.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/cas.h"
#include "store/db/tx.h"
#include "store/publications.h"
#include "store/publish_targets.h"

#define USERS_MAX 1000
#define DN_MAX_BYTES 1024

static char *
text_of(const struct call *call, const char *name)
{
	const char *text = call_text(call, name);

	return g_strdup(text != NULL ? text : "");
}

static gboolean
is_dn(const char *dn, const char *option, GError **error)
{
	if (strlen(dn) <= DN_MAX_BYTES && g_utf8_validate(dn, -1, NULL) &&
	    (*dn == '\0' || strchr(dn, '=') != NULL))
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID, "--%s takes a DN such as cn=CA,dc=example",
			  option);
}

static gboolean
set_server(const struct call *call, struct publish_target *target, GError **error)
{
	CLEANUP(ldap_target)
	struct ldap_target *url = ldap_target_parse(call_text(call, "url"), error);
	const char *tls = call_text(call, "tls");

	if (url == NULL)
		return FALSE;
	if (url->host == NULL)
		return fail_false(error, PS_ERROR_INVALID, "--url names no host");
	target->host = g_strdup(url->host);
	target->port = (gint)url->port;
	target->security = g_strdup(tls != NULL ? tls : url->tls ? "ldaps" : "starttls");
	target->ca_file = text_of(call, "ca-file");
	if (*target->ca_file != '\0' && access(target->ca_file, R_OK) != 0)
		return fail_false(error, PS_ERROR_INVALID, "the daemon cannot read '%s'",
				  target->ca_file);
	return TRUE;
}

/* Addresses as the store has them, in lower case. */
static gboolean
set_users(const struct call *call, struct publish_target *target, GError **error)
{
	target->users = call_list(call, "user");
	target->users_base = text_of(call, "users-base");
	if (g_strv_length(target->users) > USERS_MAX)
		return fail_false(error, PS_ERROR_INVALID, "at most %d of --user", USERS_MAX);
	for (char **user = target->users; *user != NULL; user++) {
		char *lower = g_utf8_strdown(*user, -1);

		g_free(*user);
		*user = lower;
		if (strchr(lower, '@') == NULL || strpbrk(lower, " *()\\") != NULL)
			return fail_false(error, PS_ERROR_INVALID,
					  "--user takes an address or @domain");
	}
	if (target->users[0] != NULL && *target->users_base == '\0')
		return fail_false(error, PS_ERROR_INVALID,
				  "--user needs --users-base, below which users are searched");
	return is_dn(target->users_base, "users-base", error);
}

static gboolean
is_same_place(const struct publish_target *a, const struct publish_target *b)
{
	return strcmp(a->host, b->host) == 0 && a->port == b->port &&
	       strcmp(a->security, b->security) == 0 && strcmp(a->ca_file, b->ca_file) == 0 &&
	       strcmp(a->bind_dn, b->bind_dn) == 0;
}

/* A password that is not said again stays, for the same server and the same who binds. */
static gboolean
set_password(const struct call *call, struct publish_target *target, GError **error)
{
	CLEANUP(secret) struct secret *password = call_password(call, "password");
	CLEANUP(publish_target) struct publish_target *before = NULL;

	if (password != NULL && secret_length(password) > 0) {
		target->sealed = keyring_seal(call->gateway->keyring, "publish_target",
					      target->name, password, &target->generation, error);
		return target->sealed != NULL;
	}
	if (!publish_targets_find(call->gateway->db, target->name, &before, error))
		return FALSE;
	if (before != NULL && before->sealed != NULL && is_same_place(before, target)) {
		target->sealed = g_bytes_ref(before->sealed);
		target->generation = before->generation;
	}
	return TRUE;
}

static gboolean
check_whole(const struct publish_target *target, GError **error)
{
	if (*target->entry == '\0' && *target->root_entry == '\0' && target->users[0] == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "nothing would be written: --entry, --root-entry or --user");
	if ((*target->bind_dn != '\0') != (target->sealed != NULL))
		return fail_false(error, PS_ERROR_INVALID,
				  "--bind-dn and its password go together");
	if (*target->bind_dn != '\0' && strcmp(target->security, "none") == 0)
		return fail_false(error, PS_ERROR_INVALID, "a password is not sent without TLS");
	return is_dn(target->entry, "entry", error) &&
	       is_dn(target->root_entry, "root-entry", error) &&
	       is_dn(target->bind_dn, "bind-dn", error);
}

static json_t *
target_object(const struct publish_target *target)
{
	json_t *object = json_object();

	json_object_set_new(object, "ca", answer_text(target->name));
	json_object_set_new(object, "host", answer_text(target->host));
	json_object_set_new(object, "port", json_integer(target->port));
	json_object_set_new(object, "tls", json_string(target->security));
	json_object_set_new(object, "ca_file", answer_text(target->ca_file));
	json_object_set_new(object, "entry", answer_text(target->entry));
	json_object_set_new(object, "root_entry", answer_text(target->root_entry));
	json_object_set_new(object, "bind_dn", answer_text(target->bind_dn));
	json_object_set_new(object, "password",
			    json_string(target->sealed != NULL ? "set" : "unset"));
	json_object_set_new(object, "users", answer_texts((const char *const *)target->users));
	json_object_set_new(object, "users_base", answer_text(target->users_base));
	return object;
}

/* What was written to another place is to be written again. */
static json_t *
put_target(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct publish_target *target = data;
	g_autofree char *name = g_strconcat("ldap:", target->name, NULL);

	if (!publish_targets_set(tx, target, error) || !publications_forget(tx, name, error))
		return NULL;
	change->object = g_strdup(target->name);
	change->detail = g_strdup(target->host);
	return target_object(target);
}

json_t *
ca_publish(struct call *call, GError **error)
{
	CLEANUP(ca_row)
	struct ca_row *row = cas_find(call->gateway->db, call_text(call, "ca"), error);
	CLEANUP(publish_target) struct publish_target *target = g_new0(struct publish_target, 1);

	if (row == NULL)
		return NULL;
	target->name = g_strdup(row->name);
	target->entry = text_of(call, "entry");
	target->root_entry = text_of(call, "root-entry");
	target->bind_dn = text_of(call, "bind-dn");
	if (!set_server(call, target, error) || !set_users(call, target, error) ||
	    !set_password(call, target, error) || !check_whole(target, error))
		return NULL;
	return change_run(call, put_target, target, error);
}

static json_t *
drop_target(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const char *name = data;

	if (!publish_targets_remove(tx, name, error))
		return NULL;
	change->object = g_strdup(name);
	return json_pack("{s:s}", "removed", name);
}

json_t *
ca_unpublish(struct call *call, GError **error)
{
	CLEANUP(ca_row)
	struct ca_row *row = cas_find(call->gateway->db, call_text(call, "ca"), error);

	return row != NULL ? change_run(call, drop_target, row->name, error) : NULL;
}

static const char *
state_of(const struct publication *row)
{
	if (row->next_try != CLOCK_NEVER)
		return "failing";
	return *row->digest != '\0' ? "published" : "taken away";
}

json_t *
ca_published(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) rows = publications_list(call->gateway->db, NULL, error);

	if (rows == NULL)
		return NULL;
	json_t *items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct publication *row = g_ptr_array_index(rows, i);
		json_t *object = json_object();

		json_object_set_new(object, "target", answer_text(row->target));
		json_object_set_new(object, "object", answer_text(row->object));
		json_object_set_new(object, "state", json_string(state_of(row)));
		json_object_set_new(object, "published", answer_time(row->published));
		json_object_set_new(object, "next_try", answer_time(row->next_try));
		json_object_set_new(object, "error", answer_text(row->error));
		json_array_append_new(items, object);
	}
	return answer_list(items, NULL);
}
