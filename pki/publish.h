/*
 * publish - CA certificates, lists and users' certificates written to folders and LDAP servers.
 *
 * What was written is remembered by its digest (store/publications): a run looks, and writes what
 * has changed or was not written yet; what failed is tried again later, farther each time. A
 * failure at one object or server is no failure of the run: it stands in its row, for ca show and
 * doctor. Threads: any, one run a target.
 */
#ifndef PKI_PUBLISH_H
#define PKI_PUBLISH_H

#include <glib.h>

struct clock;
struct db;
struct keyring;

struct publishing {
	struct db *db;
	struct clock *clock;
	struct keyring *keyring; /* of LDAP passwords */
};

/* crl/NAME.crl, ca/NAME.cer, .pem and .p7c below the folder, mode 0644, each replaced in one step.
 * The target is named "dir:HOST:FOLDER". An error only when the database is away. */
gboolean publish_folder(const struct publishing *publishing, const char *folder,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* All LDAP targets. stopping (may be NULL) is asked between two writes. */
gboolean publish_ldap(const struct publishing *publishing, gboolean (*stopping)(gpointer data),
		      gpointer data, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "dir:HOST:FOLDER" of this host; owned by the caller. */
char *publish_folder_target(const char *folder);

#endif
