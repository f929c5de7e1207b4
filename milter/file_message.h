/*
 * file_message - the commands that work on a message in a file, without daemon or database.
 *
 * They read layers with the mail path's own scanner and CMS code and make messages with its own
 * wrapping. A finding is in the report; an error means that a file could not be read or the
 * thing could not be done. All input is sealed spools of one area.
 */
#ifndef MILTER_FILE_MESSAGE_H
#define MILTER_FILE_MESSAGE_H

#include "milter/message/spool.h"
#include "milter/reading_rows.h"

struct cert;
struct chain_options;
struct key;
struct protected_fields;
struct secret;

struct message_report {
	gboolean is_signed, is_encrypted;
	gboolean unauthenticated; /* content came out of CBC, and nothing vouches for it */
	GPtrArray *layers;  /* struct reading_layer *, from the outside in */
	GPtrArray *signers; /* struct reading_signer * */
	GPtrArray *parts;   /* struct reading_part * */
	char *from;         /* the author's address or NULL */
	enum mail_verdict verdict;
	char *reason; /* with what is for the log alone: who has the key may know */
	struct protected_fields *protected_fields; /* NULL: none */
	struct spool *content; /* the signed or decrypted content; NULL if there is none */
};

struct message_options {
	/* Anchors, hints, CRLs, revocation, allow_legacy and the time; purpose and address are set
	 * here. NULL: every certificate is untrusted. */
	const struct chain_options *chain;
	/* No time was asked for: a signer is judged at his signing time if that is before
	 * chain->at. */
	gboolean at_signing_time;
	gboolean crls_require; /* CRLs in the message, too, make revocation required */
	GPtrArray *keys;       /* struct key * that may decrypt; NULL: none */
	GPtrArray *certs;      /* struct cert * under which recipientInfos may name them; or NULL */
	const struct secret *password; /* for a passphrase's recipientInfo; or NULL */
};

/* A file as mail has it, with CRLF; "-" is standard input. A bare CMS object (DER, PEM) becomes a
 * message that holds it. */
struct spool *message_open(struct spool_area *area, const char *path,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of bytes that are there already. */
struct spool *message_from_bytes(struct spool_area *area, gconstpointer bytes, gsize length,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Is it such a bare object? */
gboolean message_is_bare(struct spool *message);
/* Reads all layers that can be opened. content: what the outermost signature covers, without one
 * what was decrypted; for decrypt what the innermost encryption held. show: no keys, no trust. */
struct message_report *message_show(struct spool_area *area, struct spool *message,
				    GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct message_report *message_verify(struct spool_area *area, struct spool *message,
				      const struct message_options *options,
				      GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct message_report *message_decrypt(struct spool_area *area, struct spool *message,
				       const struct message_options *options,
				       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void message_report_free(struct message_report *report);

struct message_sign_options {
	struct cert *cert;
	struct key *key;
	GPtrArray *chain; /* struct cert * to include, or NULL */
	gboolean opaque, pss;
	const char *digest; /* NULL: sha256 */
	gint64 signing_time;
};
struct spool *message_sign(struct spool_area *area, struct spool *message,
			   const struct message_sign_options *options,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct message_encrypt_options {
	GPtrArray *recipients; /* struct cert * */
	const char *cipher;    /* NULL: aes-256-cbc */
	gboolean oaep;         /* SHA-256 */
};
struct spool *message_encrypt(struct spool_area *area, struct spool *message,
			      const struct message_encrypt_options *options,
			      GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(message_report, message_report_free)

#endif
