/*
 * trust_mode - see trust_mode.h.
 */
#include "pki/trust_mode.h"

#include <string.h>

#include "store/preferences.h"

static enum chain_revocation
revocation_of(const struct preference_set *set, enum preference preference)
{
	const char *value = preference_text(set, preference);

	if (strcmp(value, "off") == 0)
		return CHAIN_REVOCATION_OFF;
	if (strcmp(value, "if-available") == 0)
		return CHAIN_REVOCATION_IF_AVAILABLE;
	return CHAIN_REVOCATION_REQUIRED;
}

static enum chain_status_use
ocsp_of(const struct preference_set *set, enum preference preference)
{
	const char *value = preference_text(set, preference);

	if (strcmp(value, "off") == 0)
		return CHAIN_STATUS_OFF;
	return strcmp(value, "when-no-crl") == 0 ? CHAIN_STATUS_WHEN_NO_CRL : CHAIN_STATUS_PREFER;
}

struct trust_mode
trust_mode_of(const struct preference_set *set, enum trust_purpose purpose)
{
	struct trust_mode mode = { CHAIN_REVOCATION_IF_AVAILABLE, CHAIN_STATUS_OFF };

	if (set == NULL)
		return mode;
	mode.revocation = revocation_of(set, purpose == TRUST_ENCRYPT ? PREF_REVOCATION_ENCRYPT
					     : purpose == TRUST_SIGN  ? PREF_REVOCATION_SIGN
								      : PREF_REVOCATION_VERIFY);
	mode.ocsp = ocsp_of(set, purpose == TRUST_ENCRYPT ? PREF_OCSP_ENCRYPT
				 : purpose == TRUST_SIGN  ? PREF_OCSP_SIGN
							  : PREF_OCSP_VERIFY);
	return mode;
}

struct trust_mode
trust_mode_stricter(struct trust_mode a, struct trust_mode b)
{
	return (struct trust_mode){
		.revocation = MAX(a.revocation, b.revocation),
		.ocsp = MAX(a.ocsp, b.ocsp),
	};
}
