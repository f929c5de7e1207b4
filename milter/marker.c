/* marker - see marker.h. */
#include "milter/marker.h"

#include <string.h>

#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/policy/origin.h"
#include "pki/keyring.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/base/secret.h"
#include "store/config/settings.h"
#include "store/ledger.h"

#define LABEL "marker"
#define DIGEST_BYTES 32
#define VALUE_MAX_BYTES 256

struct marker {
	guint64 generation;
	guint64 time;
	guint8 nonce[LEDGER_NONCE_BYTES];
	guint8 mac[DIGEST_BYTES];
};

/* ---- the body ------------------------------------------------------------------------------- */

struct body_digest {
	GChecksum *sum;
	guint64 lines; /* ends of lines that have not been digested yet */
	guint64 crs;   /* likewise CRs of which it is not known what follows */
};

static void
digest_repeated(GChecksum *sum, const char *byte, guint64 count)
{
	for (; count > 0; count--)
		g_checksum_update(sum, (const guchar *)byte, 1);
}

static void
digest_piece(struct body_digest *digest, const guint8 *at, const guint8 *end)
{
	while (at < end) {
		const guint8 *line_end = memchr(at, '\n', (gsize)(end - at));
		const guint8 *stop = line_end != NULL ? line_end : end;
		const guint8 *tail = stop;

		while (tail > at && tail[-1] == '\r')
			tail--;
		if (tail > at) {
			digest_repeated(digest->sum, "\n", digest->lines);
			digest_repeated(digest->sum, "\r", digest->crs);
			g_checksum_update(digest->sum, at, tail - at);
			digest->lines = digest->crs = 0;
		}
		digest->crs += (guint64)(stop - tail);
		if (line_end != NULL) {
			digest->lines++;
			digest->crs = 0;
			stop++;
		}
		at = stop;
	}
}

static gboolean
digest_body(struct spool *body, guint8 out[DIGEST_BYTES], GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(body, 0, spool_size(body));
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	struct body_digest digest = { .sum = sum };
	gsize length = DIGEST_BYTES;

	for (;;) {
		const guint8 *bytes;
		gssize n = spool_reader_next(reader, &bytes, error);

		if (n < 0)
			return FALSE;
		if (n == 0)
			break;
		digest_piece(&digest, bytes, bytes + n);
	}
	g_checksum_get_digest(sum, out, &length);
	return TRUE;
}

/* ---- the HMAC ------------------------------------------------------------------------------- */

static void
mac_part(GHmac *mac, gconstpointer bytes, gsize length)
{
	guint32 prefix = GUINT32_TO_BE((guint32)length);

	g_hmac_update(mac, (const guchar *)&prefix, sizeof prefix);
	g_hmac_update(mac, bytes, (gssize)length);
}

static gint
by_text(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
mac_subject(GHmac *mac, const struct marker_subject *subject)
{
	g_autofree char *count = g_strdup_printf("%u", subject->count);
	g_autoptr(GPtrArray) sorted = g_ptr_array_new();

	for (guint i = 0; i < subject->count; i++)
		g_ptr_array_add(sorted, (gpointer)subject->recipients[i]);
	g_ptr_array_sort(sorted, by_text);
	mac_part(mac, subject->sender, strlen(subject->sender));
	mac_part(mac, count, strlen(count));
	for (guint i = 0; i < sorted->len; i++)
		mac_part(mac, sorted->pdata[i], strlen(sorted->pdata[i]));
}

/* INVALID: that generation is not known. */
static gboolean
compute(struct keyring *keyring, const struct marker *marker, const struct marker_subject *subject,
	guint8 out[DIGEST_BYTES], GError **error)
{
	CLEANUP(secret)
	struct secret *key =
	    keyring_derive_at(keyring, (gint64)marker->generation, LABEL, DIGEST_BYTES, error);
	guint8 body[DIGEST_BYTES];
	gsize length = DIGEST_BYTES;

	if (key == NULL || !digest_body(subject->body, body, error))
		return FALSE;
	g_autoptr(GHmac) mac = g_hmac_new(G_CHECKSUM_SHA256, secret_bytes(key), secret_length(key));
	g_autofree char *head = g_strdup_printf("1 %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT,
						marker->generation, marker->time);
	mac_part(mac, head, strlen(head));
	mac_part(mac, marker->nonce, sizeof marker->nonce);
	mac_subject(mac, subject);
	mac_part(mac, body, sizeof body);
	g_hmac_get_digest(mac, out, &length);
	return TRUE;
}

char *
marker_make(struct keyring *keyring, const struct marker_subject *subject, gint64 now,
	    GError **error)
{
	struct marker marker = {
		.generation = (guint64)keyring_generation(keyring),
		.time = (guint64)now,
	};
	CLEANUP(secret) struct secret *nonce = secret_new_random(sizeof marker.nonce, error);

	if (nonce == NULL)
		return NULL;
	memcpy(marker.nonce, secret_bytes(nonce), sizeof marker.nonce);
	if (!compute(keyring, &marker, subject, marker.mac, error))
		return NULL;
	g_autofree char *nonce_hex = hex_encode(marker.nonce, sizeof marker.nonce);
	g_autofree char *mac_hex = hex_encode(marker.mac, sizeof marker.mac);
	return g_strdup_printf(" v=1; g=%" G_GUINT64_FORMAT "; t=%" G_GUINT64_FORMAT
			       "; n=%s;\n h=%s",
			       marker.generation, marker.time, nonce_hex, mac_hex);
}

/* ---- reading -------------------------------------------------------------------------------- */

static gboolean
parse_hex(const char *text, guint8 *out, gsize length)
{
	if (strlen(text) != 2 * length || !hex_is(text))
		return FALSE;
	for (gsize i = 0; i < length; i++)
		out[i] = (guint8)(16 * g_ascii_xdigit_value(text[2 * i]) +
				  g_ascii_xdigit_value(text[2 * i + 1]));
	return TRUE;
}

static gboolean
parse(const struct header *field, struct marker *marker)
{
	static const char *const names[] = { "v=1", "g=", "t=", "n=", "h=" };
	g_autoptr(GString) bare = g_string_new(NULL);

	if (field->length > VALUE_MAX_BYTES || strlen(field->value) != field->length)
		return FALSE;
	for (const char *at = field->value; *at != '\0'; at++)
		if (!g_ascii_isspace(*at))
			g_string_append_c(bare, *at);
	g_auto(GStrv) parts = g_strsplit(bare->str, ";", G_N_ELEMENTS(names) + 1);
	if (g_strv_length(parts) != G_N_ELEMENTS(names) || strcmp(parts[0], names[0]) != 0)
		return FALSE;
	for (guint i = 1; i < G_N_ELEMENTS(names); i++)
		if (!g_str_has_prefix(parts[i], names[i]))
			return FALSE;
	return g_ascii_string_to_unsigned(parts[1] + 2, 10, 1, G_MAXUINT32, &marker->generation,
					  NULL) &&
	       g_ascii_string_to_unsigned(parts[2] + 2, 10, 0, G_MAXINT64 / 2, &marker->time,
					  NULL) &&
	       parse_hex(parts[3] + 2, marker->nonce, sizeof marker->nonce) &&
	       parse_hex(parts[4] + 2, marker->mac, sizeof marker->mac);
}

static gboolean
equal_in_constant_time(const guint8 *a, const guint8 *b, gsize length)
{
	volatile guint8 difference = 0;

	for (gsize i = 0; i < length; i++)
		difference = (guint8)(difference | (a[i] ^ b[i]));
	return difference == 0;
}

/* Right but for its use. */
static enum marker_check
check_content(struct keyring *keyring, const struct marker *marker,
	      const struct marker_subject *subject, gint64 now, GError **error)
{
	g_autoptr(GError) why = NULL;
	guint8 wanted[DIGEST_BYTES];

	if ((gint64)marker->time > now + MARKER_SKEW_SECONDS ||
	    (gint64)marker->time < now - MARKER_LIFE_SECONDS)
		return MARKER_TIME;
	if (!compute(keyring, marker, subject, wanted, &why)) {
		if (g_error_matches(why, PS_ERROR, PS_ERROR_INVALID))
			return MARKER_WRONG;
		g_propagate_error(error, g_steal_pointer(&why));
		return MARKER_UNKNOWN;
	}
	return equal_in_constant_time(wanted, marker->mac, sizeof wanted) ? MARKER_GOOD
									  : MARKER_WRONG;
}

enum marker_check
marker_verify(struct keyring *keyring, struct db *db, const struct settings *settings,
	      const struct headers *headers, const char *client,
	      const struct marker_subject *subject, gint64 now, GError **error)
{
	guint count = headers_count_of(headers, MARKER_FIELD);
	struct marker marker = { 0 };
	enum marker_check check;
	gboolean first = FALSE;

	if (count == 0)
		return MARKER_NONE;
	if (!settings->reinject_marker)
		return MARKER_OFF;
	if (!origin_client_is_in((const char *const *)settings->reinject_networks, client))
		return MARKER_NETWORK;
	if (count != 1 || !parse(headers_find(headers, MARKER_FIELD, 1), &marker))
		return MARKER_MALFORMED;
	check = check_content(keyring, &marker, subject, now, error);
	if (check != MARKER_GOOD)
		return check;
	if (!ledger_consume(db, marker.nonce, 2 * (MARKER_LIFE_SECONDS + MARKER_SKEW_SECONDS),
			    &first, error))
		return MARKER_UNKNOWN;
	return first ? MARKER_GOOD : MARKER_USED;
}

const char *
marker_check_text(enum marker_check check)
{
	switch (check) {
	case MARKER_NONE:
		return "";
	case MARKER_GOOD:
		return "marker of our own copy";
	case MARKER_OFF:
		return "marker, while reinject_marker is off";
	case MARKER_NETWORK:
		return "marker from outside of reinject_networks";
	case MARKER_MALFORMED:
		return "malformed marker";
	case MARKER_TIME:
		return "marker out of its time";
	case MARKER_WRONG:
		return "marker of another message";
	case MARKER_USED:
		return "marker used before";
	case MARKER_UNKNOWN:
		return "marker that cannot be checked now";
	}
	return "";
}
