/*
 * reading - a message read layer by layer: who signed it, what of it could be opened, what a
 * reader may believe. One engine for inbound mail, foreign signatures, harvest and the commands
 * that read files.
 *
 * Only a message whose whole content is the CMS object is opened; signed parts of an unsigned
 * message are verified and named, but never speak for the message. Nothing decrypted is parsed
 * before its final check. What goes wrong after a key was first used is one outcome
 * (READING_FAILED) with one reason; the difference is in detail, which is for the log alone, and
 * nothing that was found inside stays in the reading. Whoever answers an MTA never rejects for
 * anything that was found inside of an encryption: the sender would learn about the plain text.
 * A finding is in the reading; an error means that bytes could not be read or kept. What could not
 * be asked (trust, keys) is unknown. Immutable. Threads: any.
 */
#ifndef MILTER_READING_H
#define MILTER_READING_H

#include "milter/message/headers.h"
#include "milter/mime/entity.h"
#include "milter/reading_rows.h"
#include "pki/crypto/cms_decrypt.h"
#include "pki/crypto/cms_verify.h"

#define READING_LAYERS_MAX 6
#define READING_CHECKS_MAX 100 /* signatures of one message */
#define READING_CPU_MAX_MS 20000
#define READING_PARTS_MAX 16 /* signed parts of an unsigned message that are looked at */

struct cms_info; /* pki/crypto/cms_inspect.h */
struct protected_fields;
struct secret; /* store/base/secret.h */

enum reading_closed {
	READING_OPEN,        /* nothing is encrypted, or the outermost encryption was opened */
	READING_NO_KEY,      /* known before any decryption */
	READING_UNSUPPORTED, /* likewise: cipher, tag length, limit */
	READING_FAILED,      /* after it; no difference but in detail */
};

struct signer_judgement {
	enum signer_trust trust;
	char *reason; /* owned by who asked */
};

struct reading_options {
	struct spool_area *area; /* NULL: the outermost layer is all that is looked at */
	/* Is a signer with a good signature believed? FALSE with *error: could not be found out.
	 * NULL: nobody is. The address is compared by the reading, weak algorithms are refused. */
	gboolean (*judge)(gpointer data, const struct cms_verify_report *object,
			  const struct cms_signer_report *signer, struct signer_judgement *out,
			  GError **error);
	/* Signers' certificates that the message does not bring, and instead of cert_parse; both
	 * may be NULL. find: NULL without *error means that it is not there. */
	struct cert *(*find)(gpointer data, const struct cms_signer_id *id, GError **error);
	struct cert *(*parse)(gpointer data, GBytes *der, GError **error);
	/* An array of struct cms_decrypt_key, with a clear function where the members are owned.
	 * NULL with NOT_FOUND: there is no key, the text says why; with another error: unknown. A
	 * NULL function: nothing is opened. */
	GArray *(*keys)(gpointer data, const struct cms_info *info, GError **error);
	gpointer data;
	const struct secret *password; /* for who was named by a passphrase; NULL: none */
	GPtrArray *certs;              /* struct cert *: signers and issuers at hand, or NULL */
	gboolean legacy;               /* preference legacy_algorithms */
	const char *domain_signer;     /* thumbprint that speaks for the author's domain, or NULL */
	/* CPU time of this thread in milliseconds and how much of it a message may take; NULL and 0
	 * for the system's clock and READING_CPU_MAX_MS. */
	gint64 (*cpu_ms)(gpointer data);
	gint64 cpu_max_ms;
	/* An object that no mail program shows: handed out without the look for gadgets. */
	gboolean no_mail;
};

struct reading {
	GPtrArray *layers;  /* struct reading_layer * */
	GPtrArray *signers; /* struct reading_signer * */
	GPtrArray *parts;   /* struct reading_part * */
	GPtrArray *certs;   /* GBytes *: DER that covering signatures brought, unparsed */
	gboolean is_signed, is_encrypted;
	gboolean decrypted; /* opened is there */
	gboolean
	    unauthenticated; /* released, but nothing vouches for it: X-Postseal-Integrity none */
	gboolean unknown;    /* trust or keys could not be asked; why is in detail */
	gboolean limit_exceeded; /* malformed, and reason names a limit */
	enum reading_closed closed;
	enum mail_verdict verdict;
	char *reason;            /* may be told to anybody whom the message reaches */
	char *detail;            /* for the log; NULL: there is nothing beside reason */
	struct mailaddr *author; /* of the outer From; NULL: none */
	/* Content of the innermost encryption that was opened, decompressed where it is nothing but
	 * compressed. NULL: none, and always unless closed is READING_OPEN. It may hold a further
	 * encryption that is not for these keys: then the verdict is undecryptable. */
	struct entity *opened;
	/* The same (or the message) with its signatures and what is compressed under them taken
	 * off; NULL: no signature to take off. */
	struct entity *bare;
	struct protected_fields *protected_fields; /* NULL: none */
	struct spool *signed_content;              /* of the outermost signature; NULL: none */
};

/* The message whose fields are headers and whose body is [start, end) of the sealed spool. NULL
 * with *error when something could not be read. */
struct reading *reading_message(struct headers *headers, struct spool *body, guint64 start,
				guint64 end, const struct reading_options *options,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
void reading_free(struct reading *reading); /* NULL is fine */

DEFINE_CLEANUP(reading, reading_free)

#endif
