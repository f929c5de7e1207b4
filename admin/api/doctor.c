/*
 * doctor - the order of the checks, and their result.
 */
#include "admin/api/doctor.h"

#include <string.h>

#include "admin/api/handlers.h"
#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/config/settings.h"

static const char *const state_names[] = {
	[FINDING_OK] = "ok",
	[FINDING_NOTE] = "note",
	[FINDING_WARNING] = "warning",
	[FINDING_BAD] = "bad",
};

void
doctor_add(struct doctor *doctor, enum finding_state state, const char *check, const char *remedy,
	   const char *format, ...)
{
	va_list arguments;
	json_t *finding = json_object();

	va_start(arguments, format);
	g_autofree char *text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	json_object_set_new(finding, "result", json_string(state_names[state]));
	json_object_set_new(finding, "check", json_string(check));
	json_object_set_new(finding, "finding", answer_text(text));
	if (remedy != NULL && state != FINDING_OK) {
		json_object_set_new(finding, "remedy", answer_text(remedy));
		json_array_append_new(doctor->remedies, answer_text(remedy));
	}
	json_array_append_new(doctor->findings, finding);
	if (state == FINDING_BAD)
		doctor->bad = TRUE;
}

static struct settings *
check_settings(struct doctor *doctor)
{
	const char *path =
	    doctor->call->config_path != NULL ? doctor->call->config_path : SETTINGS_FILE;
	g_autoptr(GError) problem = NULL;
	struct settings *settings = settings_load(path, &problem);

	if (settings != NULL)
		doctor_add(doctor, FINDING_OK, "settings", NULL, "%s can be read", path);
	else if (!g_file_test(path, G_FILE_TEST_EXISTS))
		doctor_add(doctor, FINDING_BAD, "settings", "run 'postseal setup'",
			   "%s is not there", path);
	else
		doctor_add(doctor, FINDING_BAD, "settings", "mend the line that is named", "%s",
			   problem->message);
	return settings;
}

/* The daemon has one already; without it we open our own, if keys and settings allow. */
static struct gateway *
open_own(const struct settings *settings, struct doctor *doctor)
{
	g_autoptr(GError) problem = NULL;
	struct gateway *gateway =
	    gateway_open(settings_ref((struct settings *)settings), GATEWAY_DAEMON, &problem);

	if (gateway == NULL)
		doctor_add(doctor, FINDING_BAD, "start", "mend what is said above and here",
			   "postseald cannot start: %s", problem->message);
	return gateway;
}

static void
examine(struct doctor *doctor)
{
	doctor_check_keys(doctor);
	doctor_check_database(doctor);
	doctor_check_schema(doctor);
	doctor_check_search(doctor);
	doctor_check_sealed(doctor);
	doctor_check_sockets(doctor);
	doctor_check_clock(doctor);
	doctor_check_pki(doctor);
	doctor_check_fetching(doctor);
	doctor_check_crls(doctor);
	doctor_check_public(doctor);
	doctor_check_delivery(doctor);
	doctor_check_preferences(doctor);
	if (!call_flag(doctor->call, "no-mta"))
		doctor_check_mta(doctor);
}

json_t *
doctor_run(struct call *call, GError **error)
{
	struct doctor doctor = { .call = call, .findings = json_array(), .remedies = json_array() };
	CLEANUP(settings) struct settings *settings = check_settings(&doctor);
	CLEANUP(gateway) struct gateway *own = NULL;
	json_t *answer;

	(void)error;
	doctor.settings = settings;
	if (settings != NULL) {
		if (call->gateway == NULL)
			own = open_own(settings, &doctor);
		doctor.gateway = call->gateway != NULL ? call->gateway : own;
		examine(&doctor);
	}
	call->exit_status = doctor.bad ? 1 : 0;
	answer = json_pack("{s:o, s:o}", "items", doctor.findings, "remedies", doctor.remedies);
	return answer;
}
