/*
 * cmp_journal - the text of a transaction: "cmp1:ROUND:TRANSACTION[:MESSAGE]...", the messages in
 * base64.
 */
#include <openssl/err.h>
#include <openssl/rand.h>
#include <string.h>

#include "pki/crypto/cmp_internal.h"
#include "store/base/hex.h"

#define PREFIX "cmp1"
#define ROUND_MAX 1000

void
cmp_journal_free(struct cmp_journal *journal)
{
	if (journal == NULL)
		return;
	g_clear_pointer(&journal->transaction, g_bytes_unref);
	g_ptr_array_unref(journal->messages);
	g_free(journal);
}

static struct cmp_journal *
journal_empty(guint round)
{
	struct cmp_journal *journal = g_new0(struct cmp_journal, 1);

	journal->round = round;
	journal->messages = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	return journal;
}

struct cmp_journal *
cmp_journal_new(guint round, GError **error)
{
	unsigned char id[CMP_TRANSACTION_BYTES];

	if (RAND_bytes(id, sizeof(id)) != 1)
		return fail_openssl(error, PS_ERROR_TEMPORARY, "no random numbers");
	struct cmp_journal *journal = journal_empty(round);
	journal->transaction = g_bytes_new(id, sizeof(id));
	return journal;
}

static gboolean
read_transaction(struct cmp_journal *journal, const char *hex)
{
	guint8 id[CMP_TRANSACTION_BYTES];

	if (strlen(hex) != 2 * sizeof(id))
		return FALSE;
	for (gsize i = 0; i < sizeof(id); i++) {
		int high = g_ascii_xdigit_value(hex[2 * i]);
		int low = g_ascii_xdigit_value(hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return FALSE;
		id[i] = (guint8)(high << 4 | low);
	}
	journal->transaction = g_bytes_new(id, sizeof(id));
	return TRUE;
}

static gboolean
read_messages(struct cmp_journal *journal, char **fields)
{
	for (char **field = fields; *field != NULL; field++) {
		gsize length = 0;

		if (journal->messages->len == CMP_JOURNAL_MESSAGES_MAX || **field == '\0')
			return FALSE;
		guchar *bytes = g_base64_decode(*field, &length);
		if (length == 0 || length > CMP_MESSAGE_MAX_BYTES) {
			g_free(bytes);
			return FALSE;
		}
		g_ptr_array_add(journal->messages, g_bytes_new_take(bytes, length));
	}
	return TRUE;
}

struct cmp_journal *
cmp_journal_read(const char *text, GError **error)
{
	if (strlen(text) > CMP_JOURNAL_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "the journal of a transaction is too large");
	g_auto(GStrv) fields = g_strsplit(text, ":", CMP_JOURNAL_MESSAGES_MAX + 4);
	CLEANUP(cmp_journal) struct cmp_journal *journal = journal_empty(0);
	guint64 round = 0;

	if (g_strv_length(fields) < 3 || strcmp(fields[0], PREFIX) != 0 ||
	    !g_ascii_string_to_unsigned(fields[1], 10, 0, ROUND_MAX, &round, NULL) ||
	    !read_transaction(journal, fields[2]) || !read_messages(journal, fields + 3))
		return fail(error, PS_ERROR_INVALID, "not the journal of a transaction");
	journal->round = (guint)round;
	return g_steal_pointer(&journal);
}

char *
cmp_journal_write(const struct cmp_journal *journal)
{
	gsize length;
	const guint8 *id = g_bytes_get_data(journal->transaction, &length);
	g_autofree char *hex = hex_encode(id, length);
	GString *text = g_string_new(NULL);

	g_string_printf(text, PREFIX ":%u:%s", journal->round, hex);
	for (guint i = 0; i < journal->messages->len; i++) {
		const guint8 *bytes = g_bytes_get_data(journal->messages->pdata[i], &length);
		g_autofree char *base64 = g_base64_encode(bytes, length);

		g_string_append_printf(text, ":%s", base64);
	}
	return g_string_free(text, FALSE);
}

static int
body_of(GBytes *der)
{
	g_autoptr(OSSL_CMP_MSG) message = cmp_message_read(der, NULL);

	return message != NULL ? OSSL_CMP_MSG_get_bodytype(message) : -1;
}

gboolean
cmp_journal_keep(struct cmp_journal *journal, const OSSL_CMP_MSG *message, GBytes *der)
{
	GPtrArray *messages = journal->messages;
	int body = OSSL_CMP_MSG_get_bodytype(message);

	if (body != CMP_BODY_IP && body != CMP_BODY_CP && body != CMP_BODY_KUP &&
	    body != CMP_BODY_POLLREP)
		return FALSE;
	if (body == CMP_BODY_POLLREP && messages->len > 1 &&
	    body_of(messages->pdata[messages->len - 1]) == CMP_BODY_POLLREP)
		g_ptr_array_remove_index(messages, messages->len - 1);
	if (messages->len == CMP_JOURNAL_MESSAGES_MAX)
		return FALSE;
	g_ptr_array_add(messages, g_bytes_ref(der));
	return TRUE;
}

enum cmp_stage
cmp_journal_stage(const char *text, guint *round)
{
	CLEANUP(cmp_journal)
	struct cmp_journal *journal = text != NULL ? cmp_journal_read(text, NULL) : NULL;

	*round = journal != NULL ? journal->round : 0;
	if (journal == NULL)
		return CMP_STAGE_NONE;
	return journal->messages->len == 0 ? CMP_STAGE_ASKED : CMP_STAGE_ANSWERED;
}

char *
cmp_journal_unanswered(const char *text)
{
	CLEANUP(cmp_journal)
	struct cmp_journal *journal = text != NULL ? cmp_journal_read(text, NULL) : NULL;

	if (journal == NULL)
		return NULL;
	g_ptr_array_set_size(journal->messages, 0);
	return cmp_journal_write(journal);
}

OSSL_CMP_MSG *
cmp_message_read(GBytes *der, GError **error)
{
	gsize length;
	gconstpointer bytes = g_bytes_get_data(der, &length);

	if (length == 0 || length > CMP_MESSAGE_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "a CMP message of %zu bytes", length);
	g_autoptr(BIO) in = BIO_new_mem_buf(bytes, (int)length);
	g_autoptr(OSSL_CMP_MSG) message = d2i_OSSL_CMP_MSG_bio(in, NULL);
	if (message == NULL)
		return fail_openssl(error, PS_ERROR_INVALID, "not a CMP message, or damaged");
	if (BIO_pending(in) != 0)
		return fail(error, PS_ERROR_INVALID, "%d bytes follow the CMP message",
			    (int)BIO_pending(in));
	return g_steal_pointer(&message);
}

GBytes *
cmp_message_write(const OSSL_CMP_MSG *message, GError **error)
{
	unsigned char *der = NULL;
	int length = i2d_OSSL_CMP_MSG(message, &der);

	if (length <= 0)
		return fail_openssl(error, PS_ERROR_BUG, "the CMP message cannot be written");
	return bytes_take_openssl(der, length);
}
