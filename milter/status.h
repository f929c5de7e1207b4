/*
 * status - counters of a running filter, as JSON or Prometheus text.
 *
 * Served on the unix socket run_dir/milter-status: whoever connects and sends the line "json" or
 * "prometheus" gets the document and the end of the connection. Counters are atomic; the hot path
 * takes no lock. Threads: any.
 */
#ifndef MILTER_STATUS_H
#define MILTER_STATUS_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/reason.h"

#define STATUS_SOCKET_NAME "milter-status"

struct gateway;
struct status;

struct status *status_new(void);
void status_free(struct status *status); /* stops the server; NULL is fine */

void status_message(struct status *status, enum reason reason, gint64 latency_us, gsize bytes_in,
		    gsize bytes_out);
void status_connection(struct status *status, int change); /* +1 opened, -1 closed */
void status_reloaded(struct status *status, gboolean worked);
guint status_messages_in_flight(struct status *status);
void status_message_begins(struct status *status);
void status_message_ends(struct status *status);

/* Owned by the caller. */
char *status_json(struct status *status);
char *status_prometheus(struct status *status);

/* Serves on path until status_free. A dead socket there is replaced, a live one refused. */
gboolean status_serve(struct status *status, const char *path,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(status, status_free)

#endif
