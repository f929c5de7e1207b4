/*
 * doctor_place - does Postseal stand in Postfix where addresses are final, and is there a listener
 * for its copies that nothing else uses? Part of the MTA's examination.
 */
#ifndef ADMIN_API_DOCTOR_PLACE_H
#define ADMIN_API_DOCTOR_PLACE_H

#include "admin/api/doctor.h"
#include "admin/api/postconf.h"

/* Is this the listener that reinject_address names? It has no filter of ours by design. */
gboolean doctor_takes_copies(const struct doctor *doctor, const struct postconf *postconf,
			     const struct postconf_service *service);
/* filter: our address as it stands in Postfix' lists. */
void doctor_check_copies(struct doctor *doctor, const struct postconf *postconf,
			 const char *filter);
/* The listener itself, whatever the MTA: does it answer, and what can it do? */
void doctor_probe_copies(struct doctor *doctor);
/* Messages of the last day that waited because copies could not be made. */
void doctor_check_deferred(struct doctor *doctor);
void doctor_check_maps(struct doctor *doctor, const struct postconf *postconf, const char *filter);

#endif
