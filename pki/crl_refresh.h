/*
 * crl_refresh - which URLs are to be fetched: the run over all certificates of the store (T5).
 *
 * Certificates are judged in groups of one issuer and the same distribution points; one of the
 * group that verifies up to a root in the store, revocation aside, stands for it, and the URLs are
 * read from that one. What verifies nowhere names nothing: its URLs are a stranger's. The one
 * exception are certificates that an administrator imported or a handler brought and whose issuer
 * is not in the store: their caIssuers (setting aia_fetch) may name it (doc/decisions/0042).
 * At most 8 URLs a certificate and 200 hosts a run, the most used first. What is found replaces
 * what the run before found. Threads: any.
 */
#ifndef PKI_CRL_REFRESH_H
#define PKI_CRL_REFRESH_H

#include <glib.h>

#include "store/fetch_points.h"

#define CRL_REFRESH_HOSTS_MAX 200
#define CRL_REFRESH_ISSUER_DEPTH_MAX 4 /* intermediates of intermediates that are fetched */

struct db;
struct settings;
struct trust;

struct crl_refresh {
	struct db *db;
	struct trust *trust;
	const struct settings *settings;
	gint64 now;
	/* FALSE gives up; called every now and then. May be NULL. */
	gboolean (*go_on)(gpointer data);
	gpointer data;
};

/* *done FALSE when it was given up: nothing is changed then. */
gboolean crl_refresh_run(const struct crl_refresh *refresh, struct fetch_run *run, gboolean *done,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
