/*
 * doctor - a list of checks; what each found, and how to mend it.
 *
 * A check adds findings and never ends the examination. Remedies come in the order of the checks,
 * which is the order in which they are best carried out.
 */
#ifndef ADMIN_API_DOCTOR_H
#define ADMIN_API_DOCTOR_H

#include "admin/api/call.h"

struct settings;

enum finding_state { FINDING_OK, FINDING_NOTE, FINDING_WARNING, FINDING_BAD };

struct doctor {
	struct call *call;
	const struct settings *settings; /* NULL when they cannot be read */
	struct gateway *gateway;         /* NULL when it cannot be opened */
	gboolean database_answers;
	json_t *findings;
	json_t *remedies;
	gboolean bad;
};

/* remedy NULL: none is needed. format is the finding's text. */
void doctor_add(struct doctor *doctor, enum finding_state state, const char *check,
		const char *remedy, const char *format, ...) G_GNUC_PRINTF(5, 6);

/* admin/api/doctor_files.c */
void doctor_check_keys(struct doctor *doctor);
void doctor_check_sockets(struct doctor *doctor);
void doctor_check_clock(struct doctor *doctor);
/* admin/api/doctor_store.c */
void doctor_check_database(struct doctor *doctor);
void doctor_check_schema(struct doctor *doctor);
void doctor_check_search(struct doctor *doctor);
void doctor_check_sealed(struct doctor *doctor);
void doctor_check_pki(struct doctor *doctor);
void doctor_check_preferences(struct doctor *doctor);
/* admin/api/doctor_fetch.c */
void doctor_check_fetching(struct doctor *doctor);
/* admin/api/doctor_crls.c */
void doctor_check_crls(struct doctor *doctor);
/* admin/api/doctor_public.c */
void doctor_check_public(struct doctor *doctor);
/* admin/api/doctor_delivery.c */
void doctor_check_delivery(struct doctor *doctor);
/* admin/api/doctor_mta.c */
void doctor_check_mta(struct doctor *doctor);

#endif
