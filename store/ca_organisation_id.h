/*
 * ca_organisation_id - the registration of an organisation, as certificates carry it.
 *
 * Scheme, country, "+" and subdivision where it is one, "-", reference: NTRDE-DER3306.HRB12345,
 * NTRUS+CA-12345678, VATDE-123456789, LEIXG-529900T8BM49AURSDO55, GOVUS+CA, INTXG. Source: S/MIME
 * BR 7.1.4.2.2 d and appendix A.1, ETSI EN 319 412-1 5.1.4. Threads: any.
 */
#ifndef STORE_CA_ORGANISATION_ID_H
#define STORE_CA_ORGANISATION_ID_H

#include <glib.h>

/* NULL when it is good or empty, else what it takes. */
const char *ca_organisation_id_complaint(const char *text);
/* Does it go with this countryName ("" fits all)? LEI and INT are of no country. */
gboolean ca_organisation_id_fits(const char *text, const char *country);

#endif
