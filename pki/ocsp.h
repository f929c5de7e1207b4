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
struct ocsp_row;

#define OCSP_PATH_MAX_BYTES (48 * 1024) /* certificates that a question may carry along */

/* What is known of some certificates; immutable. */
struct ocsp_facts {
	GPtrArray *statuses; /* struct chain_status, for chain_options; texts belong to this */
	GPtrArray *rows;     /* struct ocsp_row */
	GPtrArray *certs;    /* struct cert that statuses speak of */
};

struct ocsp *ocsp_new(struct db *db, struct changelog *changelog, struct clock *clock);
void ocsp_free(struct ocsp *ocsp); /* what is not asked yet is dropped */

/* certs: struct cert; those without an OCSP URL are passed over. What the facts rest on is joined
 * to the tags (GArray of change_tag, may be NULL). */
struct ocsp_facts *ocsp_facts(struct ocsp *ocsp, GPtrArray *certs, GArray *tags,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ocsp_facts_free(struct ocsp_facts *facts);

/* Asks in the background for every certificate of the path whose bit is set in `wanted` (as
 * chain_report.status_wanted) and for which facts have nothing, or something due for refreshing.
 * Gives the moment at which the judgement should be made again for the sake of that, CLOCK_NEVER
 * when there is none. *open is set when one of them was not asked yet, or failed but a few times:
 * it may be known soon. Never waits. */
gint64 ocsp_want(struct ocsp *ocsp, const struct ocsp_facts *facts, GPtrArray *path, guint32 wanted,
		 gint64 now, gboolean *open);

/* The row of a certificate below this issuer, or NULL. */
const struct ocsp_row *ocsp_facts_find(const struct ocsp_facts *facts, const struct cert *cert,
				       const struct cert *issuer);
/* What a job is: its key, and the certificates that it carries from the one that is asked about
 * upwards, without the last, as text; NULL when they are too large. */
char *ocsp_job_key(const struct cert *cert, const struct cert *issuer);
char *ocsp_job_text(GPtrArray *path, guint index);
/* struct cert, the one that is asked about first; INVALID. */
GPtrArray *ocsp_job_parse(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(ocsp, ocsp_free)
DEFINE_CLEANUP(ocsp_facts, ocsp_facts_free)

#endif
