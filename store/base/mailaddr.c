/*
 * mailaddr - parsing and normalising one address. The only user of libidn2.
 */
#include "store/base/mailaddr.h"

#include <idn2.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/printable.h"

struct mailaddr {
	gint references;
	char *text;
	char *key;
	char *local;
	char *domain;
};

static enum mailaddr_case local_case = MAILADDR_FOLD_LOCAL;

void
mailaddr_set_case(enum mailaddr_case mode)
{
	local_case = mode;
}

/* RFC 5322 section 3.2.3 with the dot; RFC 6531 adds what is not ASCII. */
static gboolean
is_atext(unsigned char c)
{
	static const char marks[128] = {
		['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1, ['*'] = 1,
		['+'] = 1, ['-'] = 1, ['/'] = 1, ['='] = 1, ['?'] = 1, ['^'] = 1,  ['_'] = 1,
		['`'] = 1, ['{'] = 1, ['|'] = 1, ['}'] = 1, ['~'] = 1, ['.'] = 1,
	};

	return c >= 0x80 || g_ascii_isalnum(c) || marks[c];
}

/* An address literal stays as it is, in lower case; everything else goes through IDNA 2008. */
char *
mailaddr_domain_key(const char *domain, GError **error)
{
	char *ace = NULL;

	if (*domain == '[')
		return g_ascii_strdown(domain, -1);
	for (const char *p = domain; *p != '\0'; p++)
		if (!is_atext((unsigned char)*p))
			return fail(error, PS_ERROR_INVALID, "not a domain name");
	if (*domain == '\0' || *domain == '.' || strstr(domain, "..") != NULL)
		return fail(error, PS_ERROR_INVALID, "not a domain name");
	if (g_str_is_ascii(domain)) {
		char *key = g_ascii_strdown(domain, -1);
		gsize length = strlen(key);
		if (length > 1 && key[length - 1] == '.')
			key[length - 1] = '\0';
		return key;
	}
	int rc = idn2_to_ascii_8z(domain, &ace, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
	if (rc != IDN2_OK)
		return fail(error, PS_ERROR_INVALID, "not a domain name: %s", idn2_strerror(rc));
	char *key = g_ascii_strdown(ace, -1);
	idn2_free(ace);
	return key;
}

/* Takes the quotes off a quoted local part; NULL when it is not well formed. */
static char *
unquote_local(const char *text, gsize length)
{
	GString *out = g_string_new(NULL);

	for (gsize i = 1; i + 1 < length; i++) {
		if (text[i] == '"')
			goto bad;
		if (text[i] == '\\' && ++i + 1 >= length)
			goto bad;
		if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
			goto bad;
		g_string_append_c(out, text[i]);
	}
	return g_string_free(out, FALSE);
bad:
	g_string_free(out, TRUE);
	return NULL;
}

static gboolean
is_dot_atom(const char *local)
{
	if (*local == '\0')
		return FALSE;
	for (const char *p = local; *p != '\0'; p++)
		if (!is_atext((unsigned char)*p))
			return FALSE;
	return TRUE;
}

/* Case folded and NFC; nearly every address is ASCII, where the latter changes nothing. */
static char *
local_fold(const char *plain)
{
	g_autofree char *composed = NULL;

	if (g_str_is_ascii(plain))
		return local_case == MAILADDR_FOLD_LOCAL ? g_ascii_strdown(plain, -1)
							 : g_strdup(plain);
	composed = g_utf8_normalize(plain, -1, G_NORMALIZE_NFC);
	/* The Kelvin sign and its like become ASCII: a mailbox of its own, and not that of the
	 * letter. */
	if (composed == NULL || g_str_is_ascii(composed))
		return NULL;
	if (local_case != MAILADDR_FOLD_LOCAL)
		return g_steal_pointer(&composed);
	return g_utf8_strdown(composed, -1);
}

/* The normalised local part: folded, quoted only where that is needed. */
static char *
local_key(const char *text, gsize length)
{
	gboolean quoted = length >= 2 && text[0] == '"' && text[length - 1] == '"';
	g_autofree char *plain = quoted ? unquote_local(text, length) : g_strndup(text, length);

	if (plain == NULL || (!quoted && !is_dot_atom(plain)))
		return NULL;
	g_autofree char *folded = local_fold(plain);
	if (folded == NULL)
		return NULL;
	if (is_dot_atom(folded))
		return g_steal_pointer(&folded);
	g_autofree char *escaped = g_strescape(folded, NULL);
	return g_strdup_printf("\"%s\"", escaped);
}

static struct mailaddr *
no_address(const char *text, const char *why, GError **error)
{
	g_autofree char *safe = printable(text);

	return fail(error, PS_ERROR_INVALID, "'%s' is not a mail address%s", safe, why);
}

struct mailaddr *
mailaddr_parse(const char *text, GError **error)
{
	gsize length = strlen(text);

	if (length >= 2 && text[0] == '<' && text[length - 1] == '>') {
		text++;
		length -= 2;
	}
	g_autofree char *bare = g_strndup(text, length);
	if (length > MAILADDR_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "mail address of %zu bytes is too long",
			    length);
	if (!g_utf8_validate(bare, -1, NULL))
		return no_address(bare, ": not UTF-8", error);

	const char *at = strrchr(bare, '@');
	if (at == NULL || at == bare)
		return no_address(bare, "", error);
	g_autofree char *local = local_key(bare, (gsize)(at - bare));
	g_autofree char *domain = mailaddr_domain_key(at + 1, NULL);
	if (local == NULL || domain == NULL)
		return no_address(bare, "", error);

	struct mailaddr *address = g_new0(struct mailaddr, 1);
	address->references = 1;
	address->key = g_strconcat(local, "@", domain, NULL);
	address->text = g_steal_pointer(&bare);
	address->local = g_steal_pointer(&local);
	address->domain = g_steal_pointer(&domain);
	return address;
}

struct mailaddr *
mailaddr_ref(struct mailaddr *address)
{
	g_atomic_int_inc(&address->references);
	return address;
}

void
mailaddr_unref(struct mailaddr *address)
{
	if (address == NULL || !g_atomic_int_dec_and_test(&address->references))
		return;
	g_free(address->text);
	g_free(address->key);
	g_free(address->local);
	g_free(address->domain);
	g_free(address);
}

const char *
mailaddr_text(const struct mailaddr *address)
{
	return address->text;
}

const char *
mailaddr_key(const struct mailaddr *address)
{
	return address->key;
}

const char *
mailaddr_local(const struct mailaddr *address)
{
	return address->local;
}

const char *
mailaddr_domain(const struct mailaddr *address)
{
	return address->domain;
}

gboolean
mailaddr_equal(const struct mailaddr *a, const struct mailaddr *b)
{
	return strcmp(a->key, b->key) == 0;
}

char *
mailaddr_key_without_tag(const struct mailaddr *address, char delimiter)
{
	const char *tag = delimiter == '\0' ? NULL : strchr(address->local, delimiter);

	if (tag == NULL || tag == address->local || address->local[0] == '"')
		return NULL;
	return g_strdup_printf("%.*s@%s", (int)(tag - address->local), address->local,
			       address->domain);
}
