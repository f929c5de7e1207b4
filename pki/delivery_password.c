/*
 * delivery_password - passwords of PKCS#12 files: made, or judged.
 */
#include "pki/delivery.h"

#include <math.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/secret.h"

/* Without 0 o, 1 l i: and of one case alone, so that it can be read out and typed on a telephone.
 */
static const char alphabet[] = "23456789abcdefghjkmnpqrstuvwxyz";
#define ALPHABET (sizeof(alphabet) - 1)
#define GROUP 4
#define BYTES_MIN 8
#define BYTES_MAX 64
#define DIFFERENT_MIN 6 /* different characters of one that is given */
#define RUN_MAX 4       /* "abcd", "4321", "aaaa" */

/* Of a byte below the largest multiple of the alphabet, so that each character is as likely. */
static gboolean
take_characters(char *text, gsize count, GError **error)
{
	const guint limit = 256 / ALPHABET * ALPHABET;
	gsize at = 0;

	while (at < count) {
		CLEANUP(secret) struct secret *random = secret_new_random(2 * count, error);
		const guint8 *bytes = random != NULL ? secret_bytes(random) : NULL;

		if (random == NULL)
			return FALSE;
		for (gsize i = 0; i < 2 * count && at < count; i++)
			if (bytes[i] < limit)
				text[at++] = alphabet[bytes[i] % ALPHABET];
	}
	return TRUE;
}

struct secret *
delivery_password_make(gsize bytes, GError **error)
{
	char plain[128], grouped[160];
	struct secret *password = NULL;
	gsize used = 0;

	if (bytes < BYTES_MIN || bytes > BYTES_MAX)
		return fail(error, PS_ERROR_INVALID, "a password is made of %d to %d random bytes",
			    BYTES_MIN, BYTES_MAX);
	const gsize count = (gsize)ceil((double)bytes * 8 / log2((double)ALPHABET));
	if (take_characters(plain, count, error)) {
		for (gsize i = 0; i < count; i++) {
			if (i > 0 && i % GROUP == 0)
				grouped[used++] = '-';
			grouped[used++] = plain[i];
		}
		grouped[used] = '\0';
		password = secret_new_text(grouped);
	}
	wipe(plain, sizeof(plain));
	wipe(grouped, sizeof(grouped));
	return password;
}

/* How many characters follow each other by one step, or are the same. */
static gsize
longest_run(const char *text, gsize length)
{
	gsize longest = 1, run = 1;
	int step = 0;

	for (gsize i = 1; i < length; i++) {
		int now = text[i] - text[i - 1];

		run = now >= -1 && now <= 1 && (run == 1 || now == step) ? run + 1
		      : now >= -1 && now <= 1                            ? 2
									 : 1;
		step = now;
		longest = MAX(longest, run);
	}
	return longest;
}

static gsize
different_characters(const char *text, gsize length)
{
	gboolean seen[256] = { FALSE };
	gsize count = 0;

	for (gsize i = 0; i < length; i++) {
		count += !seen[(guchar)text[i]];
		seen[(guchar)text[i]] = TRUE;
	}
	return count;
}

static gboolean
holds_name(const char *text, gsize length, const char *email)
{
	const char *at = email != NULL ? strrchr(email, '@') : NULL;
	gsize name = at != NULL ? (gsize)(at - email) : 0;

	if (name < 3)
		return FALSE;
	for (gsize i = 0; i + name <= length; i++)
		if (g_ascii_strncasecmp(text + i, email, name) == 0)
			return TRUE;
	return FALSE;
}

gboolean
delivery_password_check(const struct secret *password, const char *email, GError **error)
{
	const char *text = secret_text(password);
	gsize length = secret_length(password);
	gsize digits = 0;

	if (length < DELIVERY_PASSWORD_MIN || length > DELIVERY_PASSWORD_MAX)
		return fail_false(error, PS_ERROR_INVALID,
				  "the password has to have %d to %d characters",
				  DELIVERY_PASSWORD_MIN, DELIVERY_PASSWORD_MAX);
	for (gsize i = 0; i < length; i++) {
		/* Programs disagree about the encoding of all others. */
		if (text[i] < 0x20 || text[i] > 0x7e)
			return fail_false(error, PS_ERROR_INVALID,
					  "the password may hold letters, digits and signs of "
					  "US-ASCII alone: programs read others differently");
		digits += g_ascii_isdigit(text[i]) != 0;
	}
	if (text[0] == ' ' || text[length - 1] == ' ')
		return fail_false(error, PS_ERROR_INVALID,
				  "the password must not begin or end with a blank");
	if (different_characters(text, length) < DIFFERENT_MIN ||
	    longest_run(text, length) > RUN_MAX || (digits == length && length < 20))
		return fail_false(error, PS_ERROR_INVALID,
				  "the password is too easy to guess: at least %d different "
				  "characters, not digits alone, no sequences such as 12345",
				  DIFFERENT_MIN);
	if (holds_name(text, length, email))
		return fail_false(error, PS_ERROR_INVALID,
				  "the password must not hold the user's name");
	return TRUE;
}
