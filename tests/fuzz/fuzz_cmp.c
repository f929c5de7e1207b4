/*
 * fuzz_cmp - a CMP message that answers us, and the journal of a transaction.
 *
 * Nobody who lacks the secret is believed: unprotected errors may refuse, nothing certifies.
 */
#include <stdint.h>

#include "pki/crypto/cmp.h"
#include "pki/crypto/csr.h"
#include "store/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	GBytes *answer;
	guint asked;
};

static GBytes *
exchange(gpointer data, GBytes *message, GError **error)
{
	struct input *input = data;

	(void)message;
	return ++input->asked < 4 ? g_bytes_ref(input->answer)
				  : fail(error, PS_ERROR_TEMPORARY, "no more");
}

static gboolean
save(gpointer data, const char *journal, GError **error)
{
	(void)data;
	(void)journal;
	(void)error;
	return TRUE;
}

static gboolean
take(gpointer data, struct cert *cert, GError **error)
{
	(void)data;
	(void)cert;
	(void)error;
	return TRUE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct key *key;
	static GBytes *csr;
	static struct secret *secret;
	const struct issue_names names = { .common_name = "x" };
	struct input input = { g_bytes_new(data, size), 0 };
	struct cmp_result result = { 0 };
	g_autofree char *journal = g_strndup((const char *)data, size);
	g_autofree char *bare = cmp_journal_unanswered(journal);
	guint round;

	if (key == NULL) {
		key = key_generate(KEY_KIND_EC, 256, NULL);
		csr = csr_make(key, &names, ALGORITHM_UNKNOWN, NULL);
		secret = secret_new_text("secret");
	}
	const struct cmp_peer peer = { .reference = "ref",
				       .secret = secret,
				       .unprotected_errors = TRUE,
				       .exchange = exchange,
				       .save = save,
				       .accept = take,
				       .data = &input };
	enum cmp_stage stage = cmp_journal_stage(journal, &round);
	struct cmp_order order = { .command = CMP_IR,
				   .key = key,
				   .csr = csr,
				   .journal = stage != CMP_STAGE_NONE ? journal : NULL };
	g_autoptr(GError) error = NULL;

	if ((bare != NULL) != (stage != CMP_STAGE_NONE))
		g_error("a journal that is none");
	if (cmp_enroll(&peer, &order, &result, &error) && result.outcome == CMP_DONE)
		g_error("a stranger certifies");
	cmp_result_clear(&result);
	g_bytes_unref(input.answer);
	return 0;
}
