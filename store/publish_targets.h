/*
 * publish_targets - LDAP servers that a CA's certificate, lists and users' certificates go to.
 *
 * One a CA, under its name. The password is sealed for ("publish_target", name). Threads: any.
 */
#ifndef STORE_PUBLISH_TARGETS_H
#define STORE_PUBLISH_TARGETS_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;
struct tx;

struct publish_target {
	char *name; /* of the CA */
	char *host;
	gint port;
	char *security;   /* "ldaps", "starttls", "none" */
	char *ca_file;    /* "": what the system trusts */
	char *entry;      /* DN of the CA's entry; "": none */
	char *root_entry; /* of its root's; "": none */
	char *bind_dn;    /* "": anonymously */
	GBytes *sealed;   /* NULL: no password */
	gint64 generation;
	GStrv users;      /* addresses and @domains */
	char *users_base; /* DN */
};

/* Replaces what there is of this name. */
gboolean publish_targets_set(struct tx *tx, const struct publish_target *row,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *row NULL: none. */
gboolean publish_targets_find(struct db *db, const char *name, struct publish_target **row,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
GPtrArray *publish_targets_list(struct db *db, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With what is known of its state; NOT_FOUND. */
gboolean publish_targets_remove(struct tx *tx, const char *name,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* There is something to write: the job that does it is due when this transaction commits, where any
 * server is to be written to. It looks by itself now and then, so one that is missed comes later.
 */
gboolean publish_targets_wake(struct tx *tx, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* A user's certificate that is to be written, or (gone) taken away again. */
struct publish_user {
	char *thumbprint;
	GBytes *der;
	GStrv emails; /* those of the filter */
	gboolean gone;
};
GPtrArray *publish_users_due(struct db *db, const struct publish_target *target, gint64 now,
			     gint limit, GError **error) G_GNUC_WARN_UNUSED_RESULT;

void publish_target_free(struct publish_target *row);
void publish_user_free(struct publish_user *row);
DEFINE_CLEANUP(publish_target, publish_target_free)

#endif
