/*
 * doctor_crls - revocation lists that do not answer, and what our own distribution points give.
 */
#include "admin/api/ca_context.h"
#include "admin/api/doctor.h"

#include "milter/gateway.h"
#include "pki/ca_crl.h"
#include "pki/crl_status.h"
#include "store/base/clock.h"
#include "store/cas.h"
#include "store/crls.h"

#define LISTS_SHOWN 10

static void
check_lists(struct doctor *doctor)
{
	struct gateway *gateway = doctor->gateway;
	CLEANUP(crl_judge) struct crl_judge *judge = crl_judge_new(gateway->db, gateway->trust);
	g_autoptr(GPtrArray) rows = crls_list(gateway->db, NULL);
	gint64 now = clock_now(gateway->clock);
	guint good = 0, bad = 0, kept = 0;

	for (guint i = 0; rows != NULL && i < rows->len; i++) {
		const struct crl_row *row = rows->pdata[i];
		CLEANUP(crl_status) struct crl_status *status = NULL;

		if (!crl_row_in_force(row)) {
			kept++;
			continue;
		}
		status = crl_status_of(judge, row, now, NULL);
		good += status != NULL && *status->reason == '\0';
		if (status == NULL || *status->reason == '\0' || bad++ >= LISTS_SHOWN)
			continue;
		doctor_add(doctor, status->valid ? FINDING_NOTE : FINDING_WARNING,
			   "revocation lists", NULL, "list of '%s': %s", row->issuer,
			   status->reason);
	}
	if (bad > LISTS_SHOWN)
		doctor_add(doctor, FINDING_WARNING, "revocation lists", "see 'postseal crl list'",
			   "%u more that do not answer", bad - LISTS_SHOWN);
	if (kept > 0)
		doctor_add(doctor, FINDING_NOTE, "revocation lists",
			   "see 'postseal crl list --without-effect'", "%u are kept without effect",
			   kept);
	if (good > 0 && bad == 0)
		doctor_add(doctor, FINDING_OK, "revocation lists", NULL, "%u in force", good);
}

static void
check_points(struct doctor *doctor)
{
	g_autoptr(GPtrArray) cas = cas_list(doctor->gateway->db, NULL);
	struct ca_context context = ca_context_of_gateway(doctor->gateway);
	gint64 now = clock_now(doctor->gateway->clock), looked;

	for (guint i = 0; cas != NULL && i < cas->len; i++) {
		g_autofree char *fault = NULL;
		g_autoptr(GPtrArray) warnings = ca_warnings(&context, cas->pdata[i], NULL);
		for (guint k = 0; warnings != NULL && k < warnings->len; k++)
			doctor_add(doctor, FINDING_WARNING, "CA", NULL, "%s",
				   (const char *)g_ptr_array_index(warnings, k));

		if (ca_point_fault(&context, cas->pdata[i], now, &fault, &looked, NULL) &&
		    fault != NULL)
			doctor_add(doctor, FINDING_WARNING, "CA", NULL, "%s", fault);
	}
}

void
doctor_check_crls(struct doctor *doctor)
{
	if (doctor->gateway == NULL || !doctor->database_answers)
		return;
	check_lists(doctor);
	check_points(doctor);
}
