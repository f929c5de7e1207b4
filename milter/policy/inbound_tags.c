/*
 * inbound_tags - see inbound_tags.h.
 */
#include "milter/policy/inbound_tags.h"

#include <string.h>

#include "milter/reading.h"
#include "milter/results.h"
#include "pki/crypto/cert.h"
#include "store/preferences.h"

#define NAMES_MAX 3
#define NAME_MAX_BYTES 100

/* Letters of an address that cannot be taken for anything else in a Subject. */
static gboolean
is_plain(const char *address)
{
	return strlen(address) <= NAME_MAX_BYTES &&
	       strspn(address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			       ".!#$&'*+-/=?^_`{|}~@") == strlen(address);
}

static char *
name_of(const struct reading_signer *signer)
{
	GString *name = g_string_new(NULL);
	guint shown = 0;

	for (guint i = 0; i < signer->emails->len && shown < NAMES_MAX; i++) {
		if (!is_plain(signer->emails->pdata[i]))
			continue;
		g_string_append_printf(name, "%s%s", shown > 0 ? ", " : "",
				       (const char *)signer->emails->pdata[i]);
		shown++;
	}
	if (shown == 0)
		g_string_append(name, "?");
	return g_string_free(name, FALSE);
}

static void
add_tag(GString *tags, const char *tag)
{
	if (*tag != '\0')
		g_string_append_printf(tags, "%s%s", tags->len > 0 ? " " : "", tag);
}

static void
add_signed_by(GString *tags, const char *pattern, const struct reading_signer *signer)
{
	g_autofree char *name = name_of(signer);
	g_auto(GStrv) pieces = g_strsplit(pattern, "%s", -1);
	g_autofree char *tag = g_strjoinv(name, pieces);

	add_tag(tags, tag);
}

/* Valid for the domain alone: then the name is said. */
static gboolean
is_author(const struct reading *reading, const struct reading_signer *signer)
{
	return signer->cert != NULL && reading->author != NULL &&
	       cert_has_email(signer->cert, reading->author);
}

char *
inbound_tags(const struct preference_set *preferences, const struct reading *reading,
	     gboolean signature_claimed)
{
	const struct reading_signer *signer = results_signer(reading);
	gboolean speaks =
	    signer != NULL && (reading->verdict == MAIL_VALID || reading->verdict == MAIL_MISMATCH);
	GString *tags;

	if (!preference_on(preferences, PREF_TAG_SUBJECT))
		return NULL;
	tags = g_string_new(NULL);
	if (reading->decrypted)
		add_tag(tags, preference_text(preferences, PREF_TAG_DECRYPTED));
	if (speaks && reading->verdict == MAIL_VALID && is_author(reading, signer))
		add_tag(tags, preference_text(preferences, PREF_TAG_SIGNED));
	else if (speaks)
		add_signed_by(tags, preference_text(preferences, PREF_TAG_SIGNED_BY), signer);
	else if (signature_claimed)
		add_tag(tags, preference_text(preferences, PREF_TAG_INVALID));
	return g_string_free(tags, tags->len == 0);
}
