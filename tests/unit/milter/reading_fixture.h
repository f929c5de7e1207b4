/*
 * reading_fixture - people, mail and a reading of it, for tests of milter/reading.h.
 *
 * One a test program. Alice and Carol are trusted signers, Bob decrypts; Eve is nobody.
 */
#ifndef TESTS_UNIT_MILTER_READING_FIXTURE_H
#define TESTS_UNIT_MILTER_READING_FIXTURE_H

#include <glib.h>

#include "milter/reading.h"

#define FIXTURE_NOW G_GINT64_CONSTANT(1800000000)
#define TEXT "Content-Type: text/plain\r\n\r\nhello, bob\r\n"
#define FROM_ALICE "From: Alice <alice@example.com>\r\nTo: bob@example.com\r\nSubject: s\r\n"

struct person {
	struct key *key;
	struct cert *cert;
};

struct people {
	struct spool_area *area;
	struct person alice, carol, bob, eve;
};

struct people *people_new(void);
void people_free(struct people *people);

/* Whole messages; spools are the caller's. */
struct spool *mail_of(struct people *people, const char *text);
struct spool *mail_signed(struct people *people, struct person *by, struct spool *message,
			  gboolean opaque);
struct spool *mail_encrypted(struct people *people, struct person *to, struct spool *message,
			     const char *cipher);
struct spool *mail_compressed(struct people *people, struct spool *message);
/* By layers, the innermost first, by Alice and for Bob: s signed clear, o opaque, e CBC, g GCM, z
 * compressed. */
struct spool *mail_nested(struct people *people, const char *text, const char *layers);
/* A message around a CMS object. type NULL: application/pkcs7-mime. */
struct spool *mail_of_object(struct people *people, GBytes *object, const char *type);
/* The object of such a message. */
GByteArray *mail_object(struct people *people, struct spool *message);
char *spool_text(struct spool *spool);
char *entity_text(struct people *people, const struct entity *entity);

/* As Bob, who believes Alice and Carol. */
struct reading_options people_options(struct people *people);
struct reading *people_read(struct people *people, struct spool *message);
struct reading *people_read_with(struct people *people, struct spool *message,
				 const struct reading_options *options);

#endif
