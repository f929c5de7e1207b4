/*
 * presets - the table.
 */
#include "store/presets.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"

static const struct preset_entry strict[] = {
	{ PREF_ENCRYPT_MODE, "force" },          { PREF_SIGN_MODE, "required" },
	{ PREF_REQUIRE_SIGNED, "on" },           { PREF_ON_INVALID_SIGNATURE, "reject" },
	{ PREF_ON_UNDECRYPTABLE, "reject" },     { PREF_ON_SPOOFED_INTERNAL, "reject" },
	{ PREF_ADDITIONAL_REQUIRED, "on" },      { PREF_ACCEPT_FOREIGN_ENCRYPTION, "matching" },
	{ PREF_REVOCATION_ENCRYPT, "required" }, { PREF_REVOCATION_SIGN, "required" },
	{ PREF_REVOCATION_VERIFY, "required" },  { PREF_UNAUTHENTICATED_HTML, "hold" },
};
static const struct preset_entry opportunistic[] = {
	{ PREF_ENCRYPT_MODE, "opportunistic" },
	{ PREF_SIGN_MODE, "if-possible" },
	{ PREF_REPLY_ENCRYPT, "force" },
};
static const struct preset_entry edi_energy[] = {
	{ PREF_ENCRYPT_MODE, "force" },        { PREF_SIGN_MODE, "required" },
	{ PREF_CALENDAR, "normal" },           { PREF_SINGLE_RECIPIENT, "on" },
	{ PREF_SIGNATURE_SCHEME, "pss" },      { PREF_DIGEST, "sha256" },
	{ PREF_KEY_TRANSPORT, "oaep-sha256" }, { PREF_CIPHER, "auto" },
	{ PREF_REQUIRE_SIGNED, "on" },         { PREF_REQUIRE_ENCRYPTED, "on" },
};
static const struct preset_entry archive[] = {
	{ PREF_ADDITIONAL_REQUIRED, "on" },
	{ PREF_ENCRYPT_TO_SELF, "on" },
	{ PREF_KEEP_SIGNATURE, "keep" },
	{ PREF_TAG_SUBJECT, "off" },
};
static const struct preset_entry off[] = {
	{ PREF_SMIME, "off" },   { PREF_ENCRYPT_MODE, "none" }, { PREF_SIGN_MODE, "never" },
	{ PREF_DECRYPT, "off" }, { PREF_HARVEST, "off" },       { PREF_TAG_SUBJECT, "off" },
};

#define PRESET(name, sentence, entries)                                                            \
	{                                                                                          \
		name, sentence, entries, G_N_ELEMENTS(entries)                                     \
	}
static const struct preset presets[] = {
	PRESET("strict", "everything encrypted and signed; what cannot be verified is refused",
	       strict),
	PRESET("opportunistic", "encrypted and signed wherever a certificate is there",
	       opportunistic),
	PRESET("edi-energy", "signed with PSS and encrypted with OAEP, one recipient a message",
	       edi_energy),
	PRESET("archive", "nothing leaves encrypted that the archive could not open", archive),
	PRESET("off", "no protection is made or looked at", off),
};

const struct preset *
presets_all(gsize *n)
{
	*n = G_N_ELEMENTS(presets);
	return presets;
}

const struct preset *
preset_find(const char *name, GError **error)
{
	struct nearest nearest = nearest_start(name);
	g_autofree char *shown = printable(name);

	for (gsize i = 0; i < G_N_ELEMENTS(presets); i++) {
		if (strcmp(presets[i].name, name) == 0)
			return &presets[i];
		nearest_offer(&nearest, presets[i].name);
	}
	if (nearest_found(&nearest) != NULL)
		return fail(error, PS_ERROR_INVALID, "unknown preset '%s', did you mean '%s'?",
			    shown, nearest_found(&nearest));
	return fail(error, PS_ERROR_INVALID,
		    "unknown preset '%s': strict, opportunistic, edi-energy, archive or off",
		    shown);
}

gboolean
preset_apply(struct tx *tx, const struct scope *scope, const struct preset *preset, GError **error)
{
	for (gsize i = 0; i < preset->n; i++)
		if (!preferences_set(tx, scope, preset->entries[i].preference,
				     preset->entries[i].value, error))
			return FALSE;
	return TRUE;
}
