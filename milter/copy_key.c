/* copy_key - see copy_key.h. */
#include "milter/copy_key.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"
#include "milter/session.h"
#include "pki/keyring.h"
#include "store/base/secret.h"

#define LABEL "ledger"
#define QUEUE_ID_MIN 5 /* a shorter one could stand in any Message-ID */

static void
add_part(GChecksum *sum, const char *bytes, gsize length)
{
	guint64 prefix = GUINT64_TO_BE((guint64)length);

	g_checksum_update(sum, (const guchar *)&prefix, sizeof prefix);
	g_checksum_update(sum, (const guchar *)bytes, (gssize)length);
}

/* Folds and blanks at both ends do not count: an MTA on the way may write them anew. */
static void
add_field(GChecksum *sum, const struct header *field)
{
	g_autoptr(GString) bare = g_string_sized_new(field->length);

	for (gsize i = 0; i < field->length; i++) {
		char c = field->value[i];

		if (c != '\n' && c != '\r')
			g_string_append_c(bare, c == '\t' ? ' ' : c);
	}
	g_autofree char *name = g_ascii_strdown(field->name, -1);
	add_part(sum, name, strlen(name));
	g_strstrip(bare->str);
	add_part(sum, bare->str, strlen(bare->str));
}

static gboolean
is_made_by_mta(const struct headers *headers, const char *queue_id)
{
	const char *id = headers_value(headers, "Message-ID");

	return id == NULL || (strlen(queue_id) >= QUEUE_ID_MIN && strstr(id, queue_id) != NULL);
}

static void
add_fields(GChecksum *sum, const struct headers *headers, const char *queue_id)
{
	static const char *const names[] = {
		"From",       "Sender",  "Reply-To",     "To",
		"Cc",         "Subject", "Content-Type", "Content-Transfer-Encoding",
		"Message-ID", "Date",
	};
	guint count =
	    is_made_by_mta(headers, queue_id) ? G_N_ELEMENTS(names) - 2 : G_N_ELEMENTS(names);

	for (guint n = 0; n < count; n++)
		for (guint i = 1; i <= headers_count_of(headers, names[n]); i++)
			add_field(sum, headers_find(headers, names[n], i));
}

static gboolean
digest_message(const struct session_message *message, const char *queue_id, guint8 *out,
	       GError **error)
{
	CLEANUP(spool_reader)
	struct spool_reader *reader = spool_reader_new(message->body, 0, spool_size(message->body));
	g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
	gsize length = LEDGER_DIGEST_BYTES;

	add_fields(sum, message->headers, queue_id);
	add_part(sum, "body", 4);
	for (;;) {
		const guint8 *bytes;
		gssize n = spool_reader_next(reader, &bytes, error);

		if (n < 0)
			return FALSE;
		if (n == 0)
			break;
		g_checksum_update(sum, bytes, n);
	}
	g_checksum_get_digest(sum, out, &length);
	return TRUE;
}

static void
compute(const struct secret *key, const char *sender, const char *recipient, const guint8 *digest,
	guint8 *out)
{
	g_autoptr(GHmac) mac = g_hmac_new(G_CHECKSUM_SHA256, secret_bytes(key), secret_length(key));
	gsize length = LEDGER_DIGEST_BYTES;

	g_hmac_update(mac, (const guchar *)sender, (gssize)strlen(sender) + 1);
	g_hmac_update(mac, (const guchar *)recipient, (gssize)strlen(recipient) + 1);
	g_hmac_update(mac, digest, LEDGER_DIGEST_BYTES);
	g_hmac_get_digest(mac, out, &length);
}

struct ledger_copy *
copy_keys_make(struct keyring *keyring, const struct session_message *message, const char *queue_id,
	       GError **error)
{
	const struct envelope *envelope = message->envelope;
	guint count = envelope->recipients->len;
	g_autofree struct ledger_copy *copies = g_new0(struct ledger_copy, count + 1);
	guint8 digest[LEDGER_DIGEST_BYTES];
	guint generations = 0;

	if (!digest_message(message, queue_id, digest, error))
		return NULL;
	while (generations < LEDGER_GENERATIONS_MAX &&
	       keyring_generation_nth(keyring, generations) != 0) {
		CLEANUP(secret)
		struct secret *key =
		    keyring_derive_at(keyring, keyring_generation_nth(keyring, generations), LABEL,
				      LEDGER_DIGEST_BYTES, error);
		if (key == NULL)
			return NULL;
		for (guint i = 0; i <= count; i++) {
			const struct envelope_recipient *recipient =
			    i < count ? g_ptr_array_index(envelope->recipients, i) : NULL;

			compute(key, envelope->sender,
				recipient != NULL ? recipient->address : COPY_KEY_NOTICE, digest,
				copies[i].digests[generations]);
		}
		generations++;
	}
	for (guint i = 0; i <= count; i++)
		copies[i].generations = generations;
	return g_steal_pointer(&copies);
}
