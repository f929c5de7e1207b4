/*
 * ocsp_ask - who is asked, what is believed, what is written.
 */
#include "pki/ocsp_ask.h"

#include <string.h>

#include "pki/crypto/ocsp.h"
#include "pki/net/url.h"
#include "pki/trust.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/db/db.h"
#include "store/db/tx.h"

#define HOUR 3600
#define REFRESH_MIN_SECONDS 300
#define RETRY_FIRST_SECONDS 60
#define UNKNOWN_SECONDS HOUR /* a certificate may be made known a little after it was issued */
#define LASTING_SECONDS (365 * 24 * HOUR)

void
ocsp_report_free(struct ocsp_report *report)
{
	if (report == NULL)
		return;
	ocsp_row_free(report->row);
	cert_unref(report->issuer);
	g_free(report->why);
	g_free(report);
}

gint64
ocsp_refresh_at(gint64 this_update, gint64 next_update, gint64 now)
{
	gint64 length = next_update - this_update;
	gint64 at = length < 16 * HOUR ? this_update + length / 2
				       : MIN(next_update - 8 * HOUR, this_update + 24 * HOUR);

	return MAX(at, now + REFRESH_MIN_SECONDS);
}

gint64
ocsp_retry_seconds(gint failures, gint64 retry_after)
{
	gint64 seconds = RETRY_FIRST_SECONDS;

	for (gint i = 1; i < failures && seconds < OCSP_RETRY_MAX_SECONDS; i++)
		seconds *= 4;
	return MIN(MAX(seconds, retry_after), OCSP_RETRY_MAX_SECONDS);
}

/* One question under way. */
struct asking {
	const struct ocsp_ask *ask;
	enum ocsp_asking how;
	struct cert *cert;
	GPtrArray *path; /* from the certificate to its root */
	gint64 now;
	struct ocsp_row row; /* what will be written; texts are owned */
	gint64 retry_after;
	struct ocsp_report *report;
};

static const struct cert *
issuer_of(const struct asking *asking)
{
	return asking->path->pdata[1];
}

static gboolean
find_row(struct asking *asking, GError **error)
{
	const char *issuer = cert_issuer_key(asking->cert), *serial = cert_serial_hex(asking->cert);
	g_autoptr(GPtrArray) rows = ocsp_by_certs(asking->ask->db, &issuer, &serial, 1, error);

	if (rows == NULL)
		return FALSE;
	g_clear_pointer(&asking->report->row, ocsp_row_free);
	for (guint i = 0; i < rows->len; i++) {
		const struct ocsp_row *row = rows->pdata[i];

		if (strcmp(row->issuer_spki, cert_spki_sha256(issuer_of(asking))) == 0) {
			asking->report->row = g_ptr_array_steal_index(rows, i);
			break;
		}
	}
	return TRUE;
}

/* Sets the path; leaves it NULL, with report->why, when nobody is to be asked. */
static gboolean
find_path(struct asking *asking, GPtrArray *hints, GError **error)
{
	const struct trust_question question = {
		.purpose = TRUST_ANY,
		.revocation = CHAIN_REVOCATION_OFF,
		.hints = hints,
	};
	CLEANUP(verdict)
	struct verdict *verdict = trust_ask(asking->ask->trust, asking->cert, &question, error);

	if (verdict == NULL)
		return FALSE;
	if (verdict->state != VERDICT_VALID || verdict->by_ctl_allow)
		asking->report->why = g_strdup_printf(
		    "nobody is asked: %s",
		    verdict->by_ctl_allow ? "its path leads to no root" : verdict->reason);
	else if (verdict->path->len < 2)
		asking->report->why = g_strdup("nobody is asked about a root");
	else if (cert_ocsp_urls(asking->cert)[0] == NULL)
		asking->report->why = g_strdup("the certificate names no OCSP responder");
	else
		asking->path = g_ptr_array_ref(verdict->path);
	return TRUE;
}

/* --- one responder --- */

static char *
host_of(const char *text, GError **error)
{
	CLEANUP(url) struct url *url = url_parse(text, error);

	if (url == NULL)
		return NULL;
	return g_strdup_printf("%s://%s:%u", url_scheme_name(url->scheme), url->host, url->port);
}

/* A responder without id-pkix-ocsp-nocheck: only lists can say that it is good, as it would answer
 * for itself. */
static gboolean
check_responder(const struct asking *asking, const struct ocsp_finding *finding, GError **error)
{
	const struct trust_question question = {
		.purpose = TRUST_ANY,
		.revocation = CHAIN_REVOCATION_REQUIRED,
		.hints = asking->path,
	};

	if (!finding->signer_unchecked)
		return TRUE;
	CLEANUP(verdict)
	struct verdict *verdict = trust_ask(asking->ask->trust, finding->signer, &question, error);
	if (verdict == NULL)
		return FALSE;
	if (verdict->state == VERDICT_VALID && !verdict->by_ctl_allow && !verdict->unchecked)
		return TRUE;
	return fail_false(error, PS_ERROR_INVALID, "its responder may be revoked itself: %s",
			  verdict->finding);
}

static void
take_finding(struct asking *asking, const struct ocsp_finding *finding)
{
	struct ocsp_row *row = &asking->row;

	row->status = finding->status == OCSP_GOOD      ? OCSP_ROW_GOOD
		      : finding->status == OCSP_REVOKED ? OCSP_ROW_REVOKED
							: OCSP_ROW_UNKNOWN;
	row->this_update = finding->this_update;
	row->next_update = finding->next_update;
	row->revoked_at = finding->revoked_at;
	row->reason = (gint)finding->reason;
	row->answered = asking->now;
	row->next_try = ocsp_refresh_at(row->this_update, row->next_update, asking->now);
	if (finding->status == OCSP_UNKNOWN)
		row->next_try = MIN(row->next_try, asking->now + UNKNOWN_SECONDS);
	if (finding->status == OCSP_REVOKED && finding->reason != REVOCATION_CERTIFICATE_HOLD)
		row->next_try = asking->now + LASTING_SECONDS;
}

static gboolean
ask_url(struct asking *asking, const char *url, GError **error)
{
	const struct ocsp_question question = {
		.cert = asking->cert,
		.issuer = issuer_of(asking),
		.at = asking->now,
	};
	g_autoptr(GBytes) request = ocsp_request(&question, error);

	if (request == NULL)
		return FALSE;
	g_autoptr(GBytes) answer =
	    asking->ask->post(asking->ask->data, url, request, &asking->retry_after, error);
	if (answer == NULL)
		return FALSE;
	CLEANUP(ocsp_finding) struct ocsp_finding *finding = ocsp_read(answer, &question, error);
	if (finding == NULL || !check_responder(asking, finding, error))
		return FALSE;
	take_finding(asking, finding);
	return TRUE;
}

/* --- all of them --- */

/* May this host be asked now? */
static gboolean
is_within_limits(const struct asking *asking, const char *host, gboolean *within, GError **error)
{
	gint64 asked = 0, failed = 0, ignored = 0;

	*within = TRUE;
	if (asking->how == OCSP_ASKING_NOW)
		return TRUE;
	/* What a clock that was set back finds in the future is not of this minute. */
	if (!ocsp_count_between(asking->ask->db, asking->now - 60, asking->now, "", &asked,
				&ignored, error) ||
	    !ocsp_count_between(asking->ask->db, asking->now - OCSP_HOST_REST_SECONDS, asking->now,
				host, &ignored, &failed, error))
		return FALSE;
	*within = asked < asking->ask->per_minute && failed < OCSP_HOST_FAILURES_MAX;
	return TRUE;
}

enum tried { TRIED_ANSWERED, TRIED_FAILED, TRIED_NOBODY, TRIED_ERROR };

static enum tried
try_urls(struct asking *asking, GError **error)
{
	GStrv urls = cert_ocsp_urls(asking->cert);
	enum tried tried = TRIED_NOBODY;

	for (guint i = 0; i < OCSP_URLS_MAX && urls[i] != NULL; i++) {
		g_autoptr(GError) why = NULL;
		g_autofree char *host = host_of(urls[i], &why);
		gboolean within = TRUE;

		if (host != NULL && !is_within_limits(asking, host, &within, error))
			return TRIED_ERROR;
		if (!within)
			continue;
		g_free(asking->row.url);
		g_free(asking->row.host);
		asking->row.url = printable(urls[i]);
		asking->row.host = host != NULL ? g_strdup(host) : g_strdup("");
		if (host != NULL && ask_url(asking, urls[i], &why))
			return TRIED_ANSWERED;
		g_free(asking->row.error);
		asking->row.error = printable(why->message);
		tried = TRIED_FAILED;
	}
	return tried;
}

static gboolean
write_outcome(struct tx *tx, gpointer data, GError **error)
{
	struct asking *asking = data;
	enum ocsp_outcome outcome;

	if (asking->row.error != NULL)
		return ocsp_put_failure(tx, &asking->row, error);
	if (!ocsp_put_answer(tx, &asking->row, &outcome, error))
		return FALSE;
	if (outcome == OCSP_KEPT_REVOKED)
		log_warning(
		    "an OCSP responder says otherwise of a revoked certificate, which stays "
		    "revoked",
		    "responder", asking->row.url, "subject", cert_subject(asking->cert));
	return TRUE;
}

static void
log_outcome(const struct asking *asking)
{
	if (asking->row.error != NULL)
		log_info("an OCSP responder gave no answer that can be used", "responder",
			 asking->row.url, "subject", cert_subject(asking->cert), "reason",
			 asking->row.error);
	else
		log_info("an OCSP responder answered", "responder", asking->row.url, "subject",
			 cert_subject(asking->cert), "status",
			 ocsp_row_status_name(asking->row.status));
}

static gboolean
try_and_write(struct asking *asking, GError **error)
{
	const struct ocsp_row *old = asking->report->row;
	gint failures = old != NULL ? old->attempts + 1 : 1;
	enum tried tried = try_urls(asking, error);

	if (tried == TRIED_ERROR)
		return FALSE;
	if (tried == TRIED_NOBODY) {
		asking->report->asked = OCSP_ASKED_LIMITED;
		asking->report->again = asking->now + 60;
		return TRUE;
	}
	if (tried == TRIED_ANSWERED)
		g_clear_pointer(&asking->row.error, g_free);
	else
		asking->row.next_try =
		    asking->now + ocsp_retry_seconds(failures, asking->retry_after);
	gboolean first = old == NULL || old->wanted == CLOCK_NEVER;
	asking->row.wanted =
	    asking->how == OCSP_ASKING_WANTED || (first && asking->how == OCSP_ASKING_DUE)
		? asking->now
		: CLOCK_NEVER;
	if (!db_transaction(asking->ask->db, write_outcome, asking, error))
		return FALSE;
	log_outcome(asking);
	asking->report->asked = tried == TRIED_ANSWERED ? OCSP_ASKED_ANSWERED : OCSP_ASKED_FAILED;
	asking->report->again = asking->row.next_try;
	return find_row(asking, error);
}

static gboolean
is_due(const struct asking *asking)
{
	const struct ocsp_row *row = asking->report->row;

	return asking->how == OCSP_ASKING_NOW || row == NULL || row->next_try <= asking->now;
}

static gboolean
run(struct asking *asking, GPtrArray *hints, GError **error)
{
	if (!find_path(asking, hints, error))
		return FALSE;
	if (asking->path == NULL) {
		asking->report->asked = OCSP_ASKED_NOBODY;
		return TRUE;
	}
	asking->report->issuer = cert_ref(asking->path->pdata[1]);
	if (!find_row(asking, error))
		return FALSE;
	if (!is_due(asking)) {
		asking->report->asked = OCSP_ASKED_NOT_DUE;
		asking->report->again = asking->report->row->next_try;
		return TRUE;
	}
	asking->row.issuer_key = (char *)cert_issuer_key(asking->cert);
	asking->row.issuer_spki = (char *)cert_spki_sha256(issuer_of(asking));
	asking->row.serial = (char *)cert_serial_hex(asking->cert);
	return try_and_write(asking, error);
}

struct ocsp_report *
ocsp_ask(const struct ocsp_ask *ask, struct cert *cert, GPtrArray *hints, enum ocsp_asking how,
	 GError **error)
{
	CLEANUP(ocsp_report) struct ocsp_report *report = g_new0(struct ocsp_report, 1);
	struct asking asking = {
		.ask = ask,
		.how = how,
		.cert = cert,
		.now = clock_now(ask->clock),
		.retry_after = -1,
		.report = report,
	};

	report->again = CLOCK_NEVER;
	gboolean good = run(&asking, hints, error);
	g_clear_pointer(&asking.path, g_ptr_array_unref);
	g_free(asking.row.url);
	g_free(asking.row.host);
	g_free(asking.row.error);
	return good ? g_steal_pointer(&report) : NULL;
}
