/*
 * cmp_internal - a CMP transaction on its way, and its journal.
 */
#ifndef PKI_CRYPTO_CMP_INTERNAL_H
#define PKI_CRYPTO_CMP_INTERNAL_H

#include <openssl/cmp.h>

#include "pki/crypto/cmp.h"
#include "pki/crypto/internal.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_CMP_CTX, OSSL_CMP_CTX_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OSSL_CMP_MSG, OSSL_CMP_MSG_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ASN1_OCTET_STRING, ASN1_OCTET_STRING_free)

#define CMP_TRANSACTION_BYTES 16
#define CMP_JOURNAL_MESSAGES_MAX 3 /* waiting, the last answer to a question, the certificate */

struct cmp_journal {
	guint round;
	GBytes *transaction;
	GPtrArray *messages; /* of GBytes, in the order they came */
};

/* RFC 4210 section 5.1.2, the tags of a body that are looked at. */
enum cmp_body {
	CMP_BODY_IP = 1,
	CMP_BODY_CP = 3,
	CMP_BODY_KUP = 8,
	CMP_BODY_ERROR = 23,
	CMP_BODY_POLLREP = 26
};

/* INVALID: not a journal, or one that is out of bounds. */
struct cmp_journal *cmp_journal_read(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct cmp_journal *cmp_journal_new(guint round, GError **error) G_GNUC_WARN_UNUSED_RESULT;
char *cmp_journal_write(const struct cmp_journal *journal);
/* Keeps an answer if it counts: what certifies or says wait; of polls the last one. TRUE: it was
 * kept. */
gboolean cmp_journal_keep(struct cmp_journal *journal, const OSSL_CMP_MSG *message, GBytes *der);
void cmp_journal_free(struct cmp_journal *journal);

/* Size first; trailing bytes are an error. */
OSSL_CMP_MSG *cmp_message_read(GBytes *der, GError **error) G_GNUC_WARN_UNUSED_RESULT;
GBytes *cmp_message_write(const OSSL_CMP_MSG *message, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Credentials, trust and algorithms; then what is asked for, under the journal's transaction. */
OSSL_CMP_CTX *cmp_context_new(const struct cmp_peer *peer,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean cmp_context_order(OSSL_CMP_CTX *ctx, const struct cmp_order *order,
			   const struct cmp_journal *journal,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
X509_NAME *cmp_name_parse(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(cmp_journal, cmp_journal_free)

#endif
