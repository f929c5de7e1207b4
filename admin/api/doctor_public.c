/*
 * doctor_public - does the world get what is published, and can OCSP be answered tomorrow?
 */
#include "admin/api/doctor.h"

#include <string.h>

#include "milter/gateway.h"
#include "pki/net/http.h"
#include "pki/ocsp_ahead.h"
#include "pki/published.h"
#include "pki/crypto/cert.h"
#include "store/base/clock.h"
#include "store/base/printable.h"
#include "store/config/settings.h"
#include "store/ocsp_answers.h"
#include "store/publications.h"

#define CHECK "publishing"
#define TIMEOUT_MS 5000
#define DAY 86400
#define SHOWN_MAX 5

/* "0.0.0.0:80" is reached at this host's own address. */
static char *
local_url(const char *listen)
{
	if (g_str_has_prefix(listen, "0.0.0.0:"))
		return g_strconcat("http://127.0.0.1:", listen + strlen("0.0.0.0:"), NULL);
	if (g_str_has_prefix(listen, "[::]:"))
		return g_strconcat("http://[::1]:", listen + strlen("[::]:"), NULL);
	return g_strconcat("http://", listen, NULL);
}

/* NULL: it gives this certificate; else what is wrong, owned. */
static char *
ask(const char *base, const struct published_ca *ca)
{
	CLEANUP(http_client) struct http_client *client = http_client_new();
	gsize length = strlen(base);
	while (length > 0 && base[length - 1] == '/')
		length--;
	g_autofree char *url = g_strdup_printf("%.*s/ca/%s.cer", (int)length, base, ca->key_id);
	const struct http_request request = {
		.method = "GET",
		.url = url,
		.timeout_ms = TIMEOUT_MS,
	};
	g_autoptr(GError) why = NULL;
	CLEANUP(http_answer) struct http_answer *answer = http_send(client, &request, &why);

	if (answer == NULL)
		return g_strdup_printf("%s: %s", url, why->message);
	if (answer->status != 200)
		return g_strdup_printf("%s: answers with status %u", url, answer->status);
	if (!g_bytes_equal(answer->body, cert_der(ca->cert)))
		return g_strdup_printf("%s: gives something else than the CA's certificate", url);
	return NULL;
}

static void
check_listeners(struct doctor *doctor, const struct published_ca *ca)
{
	for (char **listen = doctor->settings->public_listen; *listen != NULL; listen++) {
		g_autofree char *url = local_url(*listen);
		g_autofree char *fault = ask(url, ca);

		if (fault != NULL)
			doctor_add(doctor, FINDING_BAD, CHECK,
				   "see that postseald runs, and its log", "public_listen: %s",
				   fault);
		else
			doctor_add(doctor, FINDING_OK, CHECK, NULL, "%s answers", *listen);
	}
}

/* From here; from outside it may be otherwise, in either direction. */
static void
check_url(struct doctor *doctor, const struct published_ca *ca)
{
	const char *url = doctor->settings->public_url;

	if (*url == '\0') {
		doctor_add(doctor, FINDING_NOTE, CHECK, NULL,
			   "public_url is empty: certificates do not say where CRLs and OCSP are, "
			   "unless 'postseal ca config' gives the URLs");
		return;
	}
	if (!g_str_has_prefix(url, "http://"))
		doctor_add(doctor, FINDING_WARNING, CHECK, "set public_url to an http:// URL",
			   "public_url = %s: who checks a CRL or asks by OCSP does it over http",
			   url);
	g_autofree char *fault = ask(url, ca);
	if (fault != NULL)
		doctor_add(doctor, FINDING_WARNING, CHECK,
			   "compare public_url with public_listen and what stands in front of it",
			   "public_url does not lead here: %s", fault);
	else
		doctor_add(doctor, FINDING_OK, CHECK, NULL, "%s leads here", url);
}

/* The newest responder certificate of an issuer; 0: none. */
static gint64
responder_end(const GPtrArray *responders, const struct cert *issuer)
{
	gint64 end = 0;

	for (guint i = 0; i < responders->len; i++) {
		const struct ocsp_responder_row *row = g_ptr_array_index(responders, i);

		if (strcmp(row->issuer_key, cert_subject_key(issuer)) == 0 &&
		    strcmp(row->issuer_spki, cert_spki_sha256(issuer)) == 0)
			end = MAX(end, row->not_after);
	}
	return end;
}

static void
check_responders(struct doctor *doctor, const GPtrArray *cas, gint64 now)
{
	g_autoptr(GPtrArray) responders = ocsp_responders_list(doctor->gateway->db, NULL);

	for (guint i = 0; responders != NULL && i < cas->len; i++) {
		const struct published_ca *ca = g_ptr_array_index(cas, i);
		gint64 end = responder_end(responders, ca->cert);
		g_autofree char *name = printable(cert_subject(ca->cert));

		if (cert_not_after(ca->cert) <= now)
			continue;
		if (end == 0)
			doctor_add(doctor, FINDING_NOTE, CHECK, NULL,
				   "no OCSP responder certificate yet for '%s': it is made within "
				   "minutes where the CA's key is here",
				   name);
		else if (end <= now + DAY && end < cert_not_after(ca->cert))
			doctor_add(doctor, FINDING_BAD, CHECK,
				   "see that the CA's key is here, and 'postseal job list --kind "
				   "ocsp-answers'",
				   "the OCSP responder certificate of '%s' %s and was not renewed",
				   name, end <= now ? "has expired" : "expires within a day");
	}
}

/* Those above ocsp_presign, and below CAs whose key is not here, get theirs when somebody asks. */
static void
check_answers(struct doctor *doctor, gint64 now)
{
	gint64 max = doctor->settings->ocsp_presign, wanted, ready;

	if (max == 0)
		doctor_add(doctor, FINDING_OK, CHECK, NULL,
			   "ocsp_presign = 0: OCSP answers are signed when they are asked for");
	else if (ocsp_ahead_count(doctor->gateway->db, now, max, &wanted, &ready, NULL))
		doctor_add(doctor, ready < wanted ? FINDING_NOTE : FINDING_OK, CHECK, NULL,
			   "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT
			   " certificates have an OCSP answer ready%s",
			   ready, wanted,
			   ready < wanted ? "; the rest are signed while the machine is idle, or "
					    "when they are asked for"
					  : "");
}

static void
check_publications(struct doctor *doctor)
{
	g_autoptr(GPtrArray) rows = publications_list(doctor->gateway->db, NULL, NULL);
	guint shown = 0;

	for (guint i = 0; rows != NULL && i < rows->len && shown < SHOWN_MAX; i++) {
		const struct publication *row = g_ptr_array_index(rows, i);
		g_autofree char *why = printable(row->error);

		if (row->next_try == CLOCK_NEVER)
			continue;
		doctor_add(doctor, FINDING_WARNING, CHECK,
			   shown++ == 0 ? "'postseal ca published' shows all that is open" : NULL,
			   "%s: %s was not written, %d times: %s", row->target, row->object,
			   row->attempts, why);
	}
}

void
doctor_check_public(struct doctor *doctor)
{
	if (doctor->gateway == NULL || !doctor->database_answers)
		return;
	g_autoptr(GPtrArray) cas = published_cas(doctor->gateway->db, NULL);
	if (cas == NULL || cas->len == 0)
		return;
	check_publications(doctor);
	if (doctor->settings->public_listen[0] == NULL) {
		if (*doctor->settings->public_url != '\0')
			doctor_add(doctor, FINDING_NOTE, CHECK, NULL,
				   "public_url is set without public_listen: another host has to "
				   "give what it names");
		return;
	}
	check_listeners(doctor, g_ptr_array_index(cas, 0));
	check_url(doctor, g_ptr_array_index(cas, 0));
	check_responders(doctor, cas, clock_now(doctor->gateway->clock));
	check_answers(doctor, clock_now(doctor->gateway->clock));
}
