/*
 * publish_ldap - CAs, lists and users' certificates in LDAP directories (RFC 4523).
 */
#include <string.h>

#include "pki/ca_internal.h"
#include "pki/keyring.h"
#include "pki/net/ldap_write.h"
#include "pki/publish_internal.h"
#include "pki/published.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/publish_targets.h"

#define USERS_BATCH 200
#define TIMEOUT_MS 30000
#define LISTS_MAX 64

struct writing {
	struct publish_run run;
	const struct publish_target *target;
	struct ldap_client *client; /* NULL: not needed yet */
	gboolean (*stopping)(gpointer data);
	gpointer data;
};

static enum ldap_security
security_of(const char *name)
{
	if (strcmp(name, "ldaps") == 0)
		return LDAP_SECURITY_LDAPS;
	return strcmp(name, "starttls") == 0 ? LDAP_SECURITY_STARTTLS : LDAP_SECURITY_NONE;
}

static gboolean
connect_once(struct writing *writing, GError **error)
{
	const struct publish_target *target = writing->target;
	const struct ldap_limits limits = { .timeout_ms = TIMEOUT_MS };
	CLEANUP(secret) struct secret *password = NULL;

	if (writing->client != NULL)
		return TRUE;
	if (target->sealed != NULL) {
		password = keyring_unseal(writing->run.publishing->keyring, "publish_target",
					  target->name, target->sealed, error);
		if (password == NULL)
			return FALSE;
	}
	const struct ldap_server server = {
		.host = target->host,
		.port = (guint)target->port,
		.security = security_of(target->security),
		.ca_file = *target->ca_file != '\0' ? target->ca_file : NULL,
		.bind_dn = *target->bind_dn != '\0' ? target->bind_dn : NULL,
		.password = password,
	};
	writing->client = ldap_client_open(&server, NULL, &limits, error);
	return writing->client != NULL;
}

/* After a failure nobody knows what the connection is worth. */
static void
disconnect(struct writing *writing)
{
	ldap_client_free(writing->client);
	writing->client = NULL;
}

/* --- the entry of a CA --- */

struct entry {
	const char *dn;
	GBytes *cert;
	GPtrArray *lists; /* GBytes */
};

static gboolean
write_attributes(struct ldap_client *client, const struct entry *entry, GError **error)
{
	GBytes *const *lists = (GBytes *const *)entry->lists->pdata;

	return ldap_client_replace(client, entry->dn, "pkiCA", "cACertificate;binary", &entry->cert,
				   1, error) &&
	       ldap_client_replace(client, entry->dn, "pkiCA", "certificateRevocationList;binary",
				   lists, entry->lists->len, error) &&
	       ldap_client_replace(client, entry->dn, "pkiCA", "authorityRevocationList;binary",
				   lists, entry->lists->len, error);
}

static gboolean
write_entry(struct writing *writing, const struct entry *entry, GError **error)
{
	static const char *const classes[] = { "applicationProcess", "pkiCA", NULL };
	g_autoptr(GError) why = NULL;

	if (!connect_once(writing, error))
		return FALSE;
	if (write_attributes(writing->client, entry, &why))
		return TRUE;
	if (g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return ldap_client_add(writing->client, entry->dn, classes, error) &&
		       write_attributes(writing->client, entry, error);
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

static char *
entry_digest(const struct entry *entry)
{
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

	g_checksum_update(sum, (const guchar *)entry->dn, -1);
	g_checksum_update(sum, g_bytes_get_data(entry->cert, NULL),
			  (gssize)g_bytes_get_size(entry->cert));
	for (guint i = 0; i < entry->lists->len; i++) {
		GBytes *list = g_ptr_array_index(entry->lists, i);
		g_checksum_update(sum, g_bytes_get_data(list, NULL),
				  (gssize)g_bytes_get_size(list));
	}
	return g_strdup(g_checksum_get_string(sum));
}

static gboolean
put_entry(struct writing *writing, const char *object, const char *dn,
	  const struct published_ca *ca, const GPtrArray *lists, GError **error)
{
	g_autoptr(GPtrArray) own = g_ptr_array_new();
	struct entry entry = { .dn = dn, .cert = cert_der(ca->cert), .lists = own };
	g_autoptr(GError) why = NULL;

	for (guint i = 0; i < lists->len && own->len < LISTS_MAX; i++) {
		const struct published_list *list = g_ptr_array_index(lists, i);
		if (strcmp(list->key_id, ca->key_id) == 0)
			g_ptr_array_add(own, list->der);
	}
	g_autofree char *digest = entry_digest(&entry);
	if (!publish_run_wants(&writing->run, object, digest))
		return TRUE;
	if (!write_entry(writing, &entry, &why))
		disconnect(writing);
	return publish_run_done(&writing->run, object, digest, why, error);
}

static gboolean
put_cas(struct writing *writing, GError **error)
{
	const struct publish_target *target = writing->target;
	struct db *db = writing->run.publishing->db;

	if (*target->entry == '\0' && *target->root_entry == '\0')
		return TRUE;
	CLEANUP(ca_row) struct ca_row *row = cas_find(db, target->name, error);
	g_autoptr(GPtrArray) cas = row != NULL ? published_cas(db, error) : NULL;
	g_autoptr(GPtrArray) lists = cas != NULL ? published_lists_all(db, TRUE, error) : NULL;
	if (lists == NULL)
		return FALSE;
	for (guint i = 0; i < cas->len; i++) {
		const struct published_ca *ca = g_ptr_array_index(cas, i);
		const char *thumbprint = cert_thumbprint(ca->cert);

		if (g_strcmp0(thumbprint, row->thumbprint) == 0 && *target->entry != '\0' &&
		    !put_entry(writing, "ca", target->entry, ca, lists, error))
			return FALSE;
		if (g_strcmp0(thumbprint, row->root_thumbprint) == 0 &&
		    *target->root_entry != '\0' &&
		    !put_entry(writing, "root", target->root_entry, ca, lists, error))
			return FALSE;
	}
	return TRUE;
}

/* --- users --- */

/* The entries that have the address; one without any is an error that an administrator reads. */
static gboolean
write_at(struct writing *writing, const struct publish_user *user, const char *email,
	 GError **error)
{
	g_autofree char *escaped = ldap_filter_escape(email);
	g_autofree char *filter = g_strdup_printf("(mail=%s)", escaped);
	g_auto(GStrv) names =
	    ldap_client_find(writing->client, writing->target->users_base, filter, error);

	if (names == NULL)
		return FALSE;
	if (names[0] == NULL && !user->gone)
		return fail_false(error, PS_ERROR_NOT_FOUND, "no entry has the address %s", email);
	for (char **dn = names; *dn != NULL; dn++) {
		gboolean good =
		    user->gone ? ldap_client_drop_value(writing->client, *dn,
							"userCertificate;binary", user->der, error)
			       : ldap_client_add_value(writing->client, *dn,
						       "userCertificate;binary", user->der, error);
		if (!good)
			return FALSE;
	}
	return TRUE;
}

static gboolean
write_user(struct writing *writing, const struct publish_user *user, GError **error)
{
	/* The time of a connection is limited: each user has one of his own. */
	disconnect(writing);
	if (!connect_once(writing, error))
		return FALSE;
	for (char **email = user->emails; *email != NULL; email++)
		if (!write_at(writing, user, *email, error))
			return FALSE;
	return TRUE;
}

static gboolean
put_users(struct writing *writing, GError **error)
{
	if (writing->target->users[0] == NULL)
		return TRUE;
	g_autoptr(GPtrArray) users = publish_users_due(writing->run.publishing->db, writing->target,
						       writing->run.now, USERS_BATCH, error);
	if (users == NULL)
		return FALSE;
	for (guint i = 0; i < users->len; i++) {
		const struct publish_user *user = g_ptr_array_index(users, i);
		g_autofree char *object = g_strconcat("user/", user->thumbprint, NULL);
		g_autofree char *digest =
		    user->gone ? g_strdup("")
			       : g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, user->der);
		g_autoptr(GError) why = NULL;

		if (writing->stopping != NULL && writing->stopping(writing->data))
			return TRUE;
		(void)write_user(writing, user, &why);
		if (!publish_run_done(&writing->run, object, digest, why, error))
			return FALSE;
		/* A server that is away is not asked for each user. */
		if (why != NULL && !g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
			return TRUE;
	}
	return TRUE;
}

gboolean
publish_ldap(const struct publishing *publishing, gboolean (*stopping)(gpointer data),
	     gpointer data, GError **error)
{
	g_autoptr(GPtrArray) targets = publish_targets_list(publishing->db, error);

	for (guint i = 0; targets != NULL && i < targets->len; i++) {
		struct writing writing = { .target = g_ptr_array_index(targets, i),
					   .stopping = stopping,
					   .data = data };
		g_autoptr(GError) why = NULL;
		gboolean good =
		    publish_run_start(&writing.run, publishing,
				      g_strconcat("ldap:", writing.target->name, NULL), &why) &&
		    put_cas(&writing, &why) && put_users(&writing, &why);

		disconnect(&writing);
		publish_run_clear(&writing.run);
		if (good)
			continue;
		if (g_error_matches(why, PS_ERROR, PS_ERROR_TEMPORARY)) {
			g_propagate_error(error, g_steal_pointer(&why));
			return FALSE;
		}
		log_warning("a CA is not published by LDAP", "ca", writing.target->name, "error",
			    why->message);
	}
	return targets != NULL;
}
