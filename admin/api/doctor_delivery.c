/*
 * doctor_delivery - can keys be sent, and were they?
 */
#include "admin/api/doctor.h"

#include "milter/gateway.h"
#include "pki/delivery.h"
#include "pki/sms.h"
#include "store/base/error.h"
#include "store/cas.h"
#include "store/config/settings.h"
#include "store/outbox.h"

#define CHECK "delivery"
#define FAILED_SHOWN 100

static void
check_failed(struct doctor *doctor)
{
	g_autoptr(GError) problem = NULL;
	g_autoptr(GPtrArray) failed =
	    outbox_list(doctor->gateway->db, FALSE, TRUE, NULL, 0, FAILED_SHOWN, &problem);
	guint open = 0;

	for (guint i = 0; failed != NULL && i < failed->len; i++)
		open += !((const struct outbox_row *)failed->pdata[i])->erased;
	if (failed == NULL)
		doctor_add(doctor, FINDING_WARNING, CHECK, NULL, "%s", problem->message);
	else if (open > 0)
		doctor_add(doctor, FINDING_WARNING, CHECK,
			   "see 'postseal outbox list --failed'; mend it, then 'outbox retry ID'",
			   "%u%s deliveries of keys, or their SMS, failed", open,
			   failed->len == FAILED_SHOWN ? " or more" : "");
	else
		doctor_add(doctor, FINDING_OK, CHECK, NULL, "no delivery of keys has failed");
}

static void
check_sms(struct doctor *doctor)
{
	struct delivery delivery = { doctor->gateway->db, doctor->gateway->keyring,
				     doctor->gateway->clock, doctor->settings };
	g_autoptr(GError) problem = NULL;

	if (sms_is_set(&delivery) && !sms_ready(&delivery, &problem))
		doctor_add(doctor, FINDING_WARNING, CHECK, "see 'postseal sms config'", "%s",
			   problem->message);
}

void
doctor_check_delivery(struct doctor *doctor)
{
	g_autoptr(GError) problem = NULL;

	if (doctor->gateway == NULL || !doctor->database_answers)
		return;
	CLEANUP(ca_defaults)
	struct ca_defaults *defaults = ca_defaults_load(doctor->gateway->db, &problem);
	if (defaults == NULL)
		return;
	if (*defaults->mail_from == '\0')
		doctor_add(doctor, FINDING_NOTE, CHECK, NULL,
			   "keys are not sent to users: the sender's address is not set (ca config "
			   "mail_from)");
	else if (*doctor->settings->reinject_address == '\0')
		doctor_add(doctor, FINDING_WARNING, CHECK, "set reinject_address",
			   "ca config mail_from is set, but no listener of the mail server takes "
			   "mail of the gateway itself");
	check_failed(doctor);
	check_sms(doctor);
}
