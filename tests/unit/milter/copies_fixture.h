/*
 * copies_fixture - a filter's gateway on a database of its own, a message and a mail server, for
 * the tests of what makes copies.
 */
#ifndef TESTS_UNIT_MILTER_COPIES_FIXTURE_H
#define TESTS_UNIT_MILTER_COPIES_FIXTURE_H

#include <glib.h>

#include "milter/gateway.h"
#include "milter/mta.h"
#include "milter/session.h"
#include "store/base/clock.h"
#include "tests/support/scratch_pg.h"
#include "tests/support/smtp_server.h"

struct envelope;
struct headers;
struct spool;

struct waiting_mta {
	struct mta mta; /* first */
	const char *queue_id;
	guint progress;
	gboolean gone; /* takes no progress any more */
};

struct bench {
	struct clock *clock;
	struct gateway *gateway;
	struct smtp_server *server;
	struct spool_area *area;
	struct waiting_mta mta;
	char *key_file;
	/* the message */
	struct envelope *envelope;
	struct headers *headers;
	struct spool *body;
	struct session_message message;
};

#define BENCH_NOW G_GINT64_CONSTANT(1795310507)

extern struct scratch_pg *pg; /* the test program starts and stops it */

/* FALSE: skipped. An empty database; reinject_address is the server's, reinject_timeout 5 s. */
gboolean bench_up(struct bench *bench);
void bench_down(struct bench *bench);
void bench_set(struct bench *bench, const char *setting, const char *value);
/* recipients: blank-separated addresses. text: header and body, LF. */
void bench_message(struct bench *bench, const char *sender, const char *sender_parameters,
		   const char *recipients, const char *text);
gint64 bench_count(struct bench *bench, const char *sql);

#endif
