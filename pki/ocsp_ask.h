/*
 * ocsp_ask - the daemon's side of OCSP: one question to responders, and what becomes of it.
 *
 * Asked is only about a certificate whose path leads to a root of the store (revocation aside), and
 * only whom it names itself. What comes is verified (pki/crypto/ocsp.h), a responder that may be
 * revoked itself is judged, and the outcome is written: an answer, or a failure that moves the next
 * try away, farther each time. Requests have no nonce: what is prepared and cached will do, as
 * long as it is in date. Threads: any; the network is an argument.
 */
#ifndef PKI_OCSP_ASK_H
#define PKI_OCSP_ASK_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "store/base/cleanup.h"
#include "store/ocsp.h"

struct clock;
struct trust;

#define OCSP_URLS_MAX 3              /* that are tried for one certificate */
#define OCSP_TIMEOUT_MS 10000        /* for each */
#define OCSP_WANTED_SECONDS 604800   /* an answer that was wanted so long ago is not refreshed */
#define OCSP_RETRY_MAX_SECONDS 21600 /* between tries of one that fails */
#define OCSP_HOST_FAILURES_MAX 5     /* in OCSP_HOST_REST_SECONDS, then the host has a rest */
#define OCSP_HOST_REST_SECONDS 300

enum ocsp_asking {
	OCSP_ASKING_DUE,    /* within the limits, when it is time */
	OCSP_ASKING_WANTED, /* the same, for a judgement */
	OCSP_ASKING_NOW,    /* somebody asks for it by hand */
};

struct ocsp_ask {
	struct db *db;
	struct clock *clock;
	struct trust *trust;
	gint64 per_minute; /* questions of all daemons */
	/* POSTs application/ocsp-request within OCSP_TIMEOUT_MS and OCSP_ANSWER_MAX_BYTES; NULL
	 * with *error, and *retry_after in seconds when the server says so. */
	GBytes *(*post)(gpointer data, const char *url, GBytes *request, gint64 *retry_after,
			GError **error);
	gpointer data;
};

enum ocsp_asked {
	OCSP_ASKED_ANSWERED,
	OCSP_ASKED_FAILED,  /* see row->error */
	OCSP_ASKED_NOT_DUE, /* what is there will do */
	OCSP_ASKED_LIMITED, /* too many questions at this time, or the host fails too often */
	OCSP_ASKED_NOBODY, /* see why: it leads to no root, is out of date, or names no responder */
};

struct ocsp_report {
	enum ocsp_asked asked;
	gint64 again;         /* when the next question is due; CLOCK_NEVER: never */
	struct ocsp_row *row; /* as it is now, NULL: there is none */
	char *why;            /* of NOBODY; else NULL */
	struct cert *issuer;  /* NULL for NOBODY */
};

/* hints: struct cert that may complete the path, or NULL. */
struct ocsp_report *ocsp_ask(const struct ocsp_ask *ask, struct cert *cert, GPtrArray *hints,
			     enum ocsp_asking asking, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void ocsp_report_free(struct ocsp_report *report);

/* Pure. When an answer should be refreshed: halfway, or 8 hours before its end, but after a day. */
gint64 ocsp_refresh_at(gint64 this_update, gint64 next_update, gint64 now);
/* Seconds until the next try of a question that failed so often. */
gint64 ocsp_retry_seconds(gint failures, gint64 retry_after);

DEFINE_CLEANUP(ocsp_report, ocsp_report_free)

#endif
