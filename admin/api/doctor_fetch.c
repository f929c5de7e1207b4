/*
 * doctor_fetch - is what certificates name fetched, and what fails.
 */
#include "admin/api/doctor.h"

#include "milter/gateway.h"
#include "pki/net/address_guard.h"
#include "store/base/clock.h"
#include "store/base/printable.h"
#include "store/config/settings.h"
#include "store/fetch_points.h"
#include "store/fetches.h"

#define URLS_SHOWN 10

static void
check_allow(struct doctor *doctor)
{
	g_autoptr(GError) unread = NULL;
	CLEANUP(address_guard)
	struct address_guard *guard =
	    address_guard_new_checked((const char *const *)doctor->settings->fetch_allow, &unread);

	if (guard == NULL)
		doctor_add(doctor, FINDING_BAD, "fetching", "mend the setting", "%s",
			   unread->message);
}

static void
check_run(struct doctor *doctor)
{
	gint64 now = clock_now(doctor->gateway->clock);
	struct fetch_run run;

	if (!fetch_points_last_run(doctor->gateway->db, &run, NULL))
		return;
	if (run.finished != 0 && run.finished + 2 * doctor->settings->crl_update_interval < now)
		doctor_add(doctor, FINDING_WARNING, "fetching",
			   "see 'postseal job list --kind crl-refresh'",
			   "no distribution points were collected for a long time");
	if (run.left_out > 0)
		doctor_add(doctor, FINDING_NOTE, "fetching", NULL,
			   "%" G_GINT64_FORMAT
			   " distribution points are not fetched: a run takes at most 200 hosts",
			   run.left_out);
}

/* Does another name of every point that has this one work? */
static gboolean
is_covered(struct doctor *doctor, const struct fetch_row *row)
{
	g_autoptr(GPtrArray) points = fetch_points_list(doctor->gateway->db, row->url, NULL);
	gboolean covered = points != NULL && points->len > 0;

	for (guint i = 0; covered && i < points->len; i++) {
		const struct fetch_point *point = g_ptr_array_index(points, i);
		g_autoptr(GPtrArray) others =
		    fetches_by_urls(doctor->gateway->db, (const char *const *)point->urls,
				    g_strv_length(point->urls), NULL);

		covered = FALSE;
		for (guint k = 0; others != NULL && k < others->len; k++)
			covered |=
			    ((const struct fetch_row *)others->pdata[k])->state == FETCH_GOOD;
	}
	return covered;
}

/* One remedy serves them all: the first says it. */
static void
add_failure(struct doctor *doctor, const struct fetch_row *row, gboolean *said)
{
	g_autofree char *url = printable(row->url);
	g_autofree char *result = printable(row->result);
	const char *why = g_str_has_prefix(result, url) ? "" : url;
	gboolean covered = is_covered(doctor, row);

	gboolean serious = !covered && row->failures >= 2;
	const char *remedy = "see that it can be reached (settings fetch_*), then 'postseal crl "
			     "update'; 'postseal crl urls --failed' shows all";

	doctor_add(doctor, serious ? FINDING_WARNING : FINDING_NOTE, "fetching",
		   serious && !*said ? remedy : NULL, "failed %d times: %s%s%s%s", row->failures,
		   why, *why != '\0' ? ": " : "", result,
		   covered ? " (another name of the same list works)" : "");
	*said |= serious;
}

void
doctor_check_fetching(struct doctor *doctor)
{
	if (doctor->settings == NULL)
		return;
	check_allow(doctor);
	if (!doctor->database_answers || doctor->gateway == NULL)
		return;
	check_run(doctor);
	gboolean said = FALSE;
	g_autoptr(GPtrArray) failing = fetches_failing(doctor->gateway->db, 1, NULL);
	if (failing == NULL)
		return;
	for (guint i = 0; i < MIN(failing->len, URLS_SHOWN); i++)
		add_failure(doctor, g_ptr_array_index(failing, i), &said);
	if (failing->len > URLS_SHOWN)
		doctor_add(doctor, FINDING_NOTE, "fetching", NULL,
			   "%u more URLs fail: see 'postseal crl urls --failed'",
			   failing->len - URLS_SHOWN);
	if (failing->len == 0)
		doctor_add(doctor, FINDING_OK, "fetching", NULL, "no URL fails");
}
