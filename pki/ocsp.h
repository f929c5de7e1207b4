/*
 * ocsp - OCSP answers as facts for a judgement, and questions for the daemon.
 *
 * A judgement takes what is known (rows of store/ocsp, kept by certificate until CHANGE_OCSP) and
 * never waits: what is missing or due for refreshing is asked for by a thread of its own, which
 * puts a job `ocsp` into the database, once a while for each certificate and at most so many a
 * minute; what is beyond is dropped and asked for again by a later judgement. Jobs, names and
 * limits hold across programs: pki/ocsp_ask.h.
 * Threads: any.
 */
#ifndef PKI_OCSP_H
#define PKI_OCSP_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "store/base/cleanup.h"
#include "store/base/clock.h"

struct changelog;
struct db;
struct ocsp;

#define OCSP_PATH_MAX_BYTES (48 * 1024) /* certificates that a question may carry along */

/* What is known of some certificates. */
struct ocsp_facts {
	GPtrArray *statuses; /* struct chain_status, for chain_options; texts belong to this */
	GPtrArray *rows;     /* struct ocsp_row, immutable */
};

struct ocsp *ocsp_new(struct db *db, struct changelog *changelog, struct clock *clock);
void ocsp_free(struct ocsp *ocsp); /* waits for what is being asked for */

/* certs: struct cert; those without an OCSP URL are passed over. */
struct ocsp_facts *ocsp_facts(struct ocsp *ocsp, GPtrArray *certs,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ocsp_facts_free(struct ocsp_facts *facts);

/* Asks in the background for every certificate of the path whose bit is set in `wanted` (as
 * chain_report.status_wanted) and for which facts have nothing, or something due for refreshing.
 * Gives the moment at which the judgement should be made again for the sake of that, CLOCK_NEVER
 * when there is none. */
gint64 ocsp_want(struct ocsp *ocsp, const struct ocsp_facts *facts, GPtrArray *path, guint32 wanted,
		 gint64 at);

DEFINE_CLEANUP(ocsp, ocsp_free)
DEFINE_CLEANUP(ocsp_facts, ocsp_facts_free)

#endif
