/*
 * fetch_one - one URL, once: fetch what it names, give it to the store, write down what came of it.
 *
 * CRLs go to crl_load, which judges them. Of intermediates only those are taken that issued the
 * certificate that lacks one (its signature verifies) or stand above such a one; they enter the
 * certificate store with origin "fetch" and are never trusted for that. Whatever a server does
 * is a result in the URL's row and not an error; errors are the database's. Threads: any; two at
 * once for one URL do no harm, the job's lease keeps them apart.
 */
#ifndef PKI_FETCH_ONE_H
#define PKI_FETCH_ONE_H

#include <glib.h>

struct changelog;
struct db;
struct fetcher;
struct settings;

struct fetch_one {
	struct db *db;
	struct changelog *changelog; /* or NULL */
	struct fetcher *fetcher;
	const struct settings *settings;
	gint64 now;
	/* Called about every second while waiting; FALSE gives up. May be NULL. */
	gboolean (*waiting)(gpointer data);
	gpointer data;
};

/* *brought: an intermediate came in, so that another run may find more. */
gboolean fetch_one_run(const struct fetch_one *one, const char *url, gboolean *brought,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
