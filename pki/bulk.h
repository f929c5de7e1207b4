/*
 * bulk - batches of requests: looked through, submitted, worked on with all cores (C6).
 *
 * A batch is its rows in the store (store/bulk.h). For the built-in CA many certificates are made
 * at once: keys and signatures by worker threads outside of transactions, then rows, requests,
 * keys, certificates and deliveries of some hundreds in one transaction. For other handlers rows
 * become requests, which are then worked on in parallel. Interrupted anywhere, what was committed
 * stands and the rest waits; two programs that work on one batch make no row's request twice.
 * Threads: any.
 */
#ifndef PKI_BULK_H
#define PKI_BULK_H

#include <glib.h>

#include "store/bulk.h"

struct enroll;
struct preference_cache;
struct settings;
struct trust;
struct tx;

struct bulk_look {
	struct db *db;
	struct trust *trust;
	struct preference_cache *preferences;
	const struct settings *settings;
	gint64 now;
};
/* The file's rows (struct bulk_row *) with what would become of each: also CERTIFIED, UNDER_WAY. */
GPtrArray *bulk_preview(const struct bulk_look *look, GBytes *bytes, const char *encoding,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
void bulk_rows_count(GPtrArray *rows, struct bulk_counts *counts);

struct bulk_work {
	const struct enroll *enroll;
	guint threads;                    /* 0: as many as cores */
	gboolean (*go_on)(gpointer data); /* FALSE: leave soon; called by one thread */
	gpointer data;
};
/* Until no row waits, or go_on says no (*finished FALSE). A batch that cannot go on (no CA, an
 * unready handler) is paused with the reason, which is no error. */
gboolean bulk_run(const struct bulk_work *work, gint64 id, gboolean *finished,
		  GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
