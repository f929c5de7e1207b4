/*
 * harvesting - who wants it, and what there is.
 */
#include "milter/harvesting.h"

#include "milter/foreign.h"
#include "milter/gateway.h"
#include "milter/policy/groups.h"
#include "milter/policy/ruling.h"
#include "milter/reading.h"
#include "milter/structure.h"
#include "pki/harvest.h"
#include "store/preferences.h"

static gboolean
is_wanted_by(const struct gathered_recipient *recipient)
{
	return recipient->preferences != NULL && recipient->facts.locality == LOCALITY_INTERNAL &&
	       preference_on(recipient->preferences, PREF_SMIME) &&
	       preference_on(recipient->preferences, PREF_HARVEST);
}

/* Of an outsider: what our own people use comes from the CA, not from the wire. */
static gboolean
is_outsider(struct gateway *gateway, const struct mailaddr *author)
{
	CLEANUP(preference_set)
	struct preference_set *set =
	    preferences_resolve(gateway->preferences, mailaddr_key(author), NULL);

	return set != NULL && preference_choice(set, PREF_LOCALITY) == VALUE_LOCALITY_EXTERNAL;
}

static gboolean
is_worth_a_look(struct gateway *gateway, const struct ruling *ruling)
{
	const struct gathered *gathered = ruling->gathered;
	gboolean wanted = FALSE;

	if (gathered->author == NULL || gathered->facts.origin == ORIGIN_TRUSTED)
		return FALSE;
	for (guint i = 0; !wanted && i < gathered->recipients->len; i++)
		wanted = is_wanted_by(gathered->recipients->pdata[i]);
	return wanted && is_outsider(gateway, gathered->author);
}

static void
offer(struct harvest *harvest, struct gateway *gateway, const struct reading *reading)
{
	g_autoptr(GPtrArray) certs = foreign_certs(gateway, reading);

	for (guint i = 0; certs != NULL && i < certs->len; i++)
		harvest_offer(harvest, certs->pdata[i], reading->author);
}

void
harvesting_inbound(struct harvest *harvest, struct gateway *gateway, const struct ruling *ruling,
		   const struct structure *structure)
{
	CLEANUP(reading) struct reading *reading = NULL;

	if (structure->facts.arrived != ARRIVED_SIGNED || !is_worth_a_look(gateway, ruling))
		return;
	reading = foreign_reading(gateway, structure->tree, NULL);
	if (reading != NULL)
		offer(harvest, gateway, reading);
}

void
harvesting_reading(struct harvest *harvest, struct gateway *gateway, const struct ruling *ruling,
		   const struct reading *reading)
{
	if (reading->verdict == MAIL_VALID && is_worth_a_look(gateway, ruling))
		offer(harvest, gateway, reading);
}

void
harvesting_outbound(struct harvest *harvest, const struct group *copy)
{
	for (guint i = 0; copy->plan.encrypt && i < copy->certificates->len; i++)
		harvest_used(harvest, copy->certificates->pdata[i]);
}
