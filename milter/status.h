/*
 * status - counters of a running filter, as JSON or Prometheus text.
 *
 * Served on the unix socket run_dir/milter/status.sock: whoever connects and sends the line "json"
 * or "prometheus" gets the document and the end of the connection; status_ask does that. Counters
 * are atomic; the hot path takes no lock. Threads: any.
 */
#ifndef MILTER_STATUS_H
#define MILTER_STATUS_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/reason.h"

struct status;

struct status *status_new(void);
void status_free(struct status *status); /* stops the server; NULL is fine */

/* A message that has been answered. */
void status_message(struct status *status, enum reason reason, gint64 latency_us, guint64 bytes_in,
		    guint64 bytes_out);
void status_reloaded(struct status *status, gboolean worked);

/*
 * Messages between MAIL and their answer. Each belongs to the epoch in which it began, which is
 * its ticket; a stop begins a new epoch and waits until the old one is empty, so that messages
 * that arrive meanwhile cannot hold it up for ever.
 */
guint status_message_begins(struct status *status);
void status_message_ends(struct status *status, guint ticket);
guint status_begin_epoch(struct status *status); /* the ticket of those that began before */
guint status_in_flight(const struct status *status, guint ticket);

/* More numbers, asked for when the document is made: cache hits, ages, connections. */
struct status_writer;
typedef void (*status_source)(gpointer data, struct status_writer *writer);
void status_add_source(struct status *status, status_source source, gpointer data);
/* name: lower case with underscores ("cache_hits"); what: one phrase. counter: it only grows. */
void status_write(struct status_writer *writer, const char *name, const char *what,
		  gboolean counter, gdouble value);

/* Owned by the caller. */
char *status_json(struct status *status);
char *status_prometheus(struct status *status);

/* "run_dir/milter/status.sock"; owned by the caller. */
char *status_socket_path(const char *run_dir);
/* The document of the filter that serves path; format "json" or "prometheus". PS_ERROR_TEMPORARY
 * when none does. */
char *status_ask(const char *path, const char *format, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Serves on path until status_free. A dead socket there is replaced, a live one refused. */
gboolean status_serve(struct status *status, const char *path,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(status, status_free)

#endif
