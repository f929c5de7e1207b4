/*
 * ca_organisation_id - reading the registration of an organisation.
 */
#include "store/ca_organisation_id.h"

#include <string.h>

#define LENGTH_MAX 256
#define LEI_LENGTH 20

#define EXAMPLES "takes a registration such as NTRDE-DER3306.HRB12345, VATDE-123456789 or LEIXG-..."

static gboolean
has_country(const char *text, const char *country)
{
	return strncmp(text, country, 2) == 0;
}

/* ISO 17442: the two last digits are a checksum of ISO 7064 MOD 97-10. */
static gboolean
is_lei(const char *text)
{
	guint rest = 0;

	if (strlen(text) != LEI_LENGTH)
		return FALSE;
	for (const char *p = text; *p != '\0'; p++) {
		if (!g_ascii_isdigit(*p) && !g_ascii_isupper(*p))
			return FALSE;
		guint value = g_ascii_isdigit(*p) ? (guint)(*p - '0') : (guint)(*p - 'A') + 10;
		rest = (rest * (value < 10 ? 10 : 100) + value) % 97;
	}
	return rest == 1;
}

static const char *
after_subdivision(const char *text)
{
	gsize length = 0;

	if (*text != '+')
		return text;
	while (length < 3 && g_ascii_isalnum(text[1 + length]))
		length++;
	return length > 0 ? text + 1 + length : NULL;
}

static const char *
reference_complaint(const char *text, const char *rest)
{
	if (*rest != '-' || rest[1] == '\0')
		return "takes the reference behind a hyphen, as in VATDE-123456789";
	if (g_str_has_prefix(text, "LEI") && (!has_country(text + 3, "XG") || !is_lei(rest + 1)))
		return "takes an LEI as LEIXG- and its 20 characters, the last two of which must "
		       "fit the others";
	return NULL;
}

const char *
ca_organisation_id_complaint(const char *text)
{
	static const char *const schemes[] = { "NTR", "VAT", "PSD", "LEI", "GOV", "INT" };
	gboolean known = FALSE;

	if (*text == '\0')
		return NULL;
	for (gsize i = 0; i < G_N_ELEMENTS(schemes); i++)
		known = known || g_str_has_prefix(text, schemes[i]);
	if (!known)
		return "takes one of the schemes NTR, VAT, PSD, LEI, GOV and INT, as in "
		       "NTRDE-DER3306.HRB12345";
	if (!g_str_is_ascii(text) || strlen(text) > LENGTH_MAX ||
	    strpbrk(text, " \t\r\n") != NULL || !g_ascii_isupper(text[3]) ||
	    !g_ascii_isupper(text[4]))
		return EXAMPLES;
	const char *rest = after_subdivision(text + 5);
	if (rest == NULL || (text[5] == '+' && !g_str_has_prefix(text, "NTR") &&
			     !g_str_has_prefix(text, "GOV") && !g_str_has_prefix(text, "VAT")))
		return "takes a subdivision as in NTRUS+CA-12345678";
	if (g_str_has_prefix(text, "GOV"))
		return *rest == '\0' ? NULL : "takes GOV with the country alone, as GOVUS+CA";
	if (g_str_has_prefix(text, "INT"))
		return strcmp(text, "INTXG") == 0 ? NULL : "takes INTXG and nothing more";
	return reference_complaint(text, rest);
}

gboolean
ca_organisation_id_fits(const char *text, const char *country)
{
	if (*text == '\0' || *country == '\0' || g_str_has_prefix(text, "LEI") ||
	    g_str_has_prefix(text, "INT"))
		return TRUE;
	/* Directive 2006/112/EC: Greece is EL there, Northern Ireland XI. */
	if (g_str_has_prefix(text, "VATEL"))
		return strcmp(country, "GR") == 0;
	if (g_str_has_prefix(text, "VATXI"))
		return strcmp(country, "GB") == 0;
	return strlen(text) >= 5 && has_country(text + 3, country);
}
