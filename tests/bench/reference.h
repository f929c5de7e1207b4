/*
 * reference - the same CMS work inside one process, to measure the gateway against.
 *
 * Three ways: the stock calls of OpenSSL with its S/MIME helpers, as most programs use them; the
 * same library "by hand" (content digested once, prepared keys, own base64); and our own modules.
 * Each turns a canonical MIME entity in memory into an S/MIME message in memory, or back. All
 * outputs are checked with OpenSSL's own reading calls (reference_check).
 */
#ifndef TESTS_BENCH_REFERENCE_H
#define TESTS_BENCH_REFERENCE_H

#include <glib.h>

enum reference_way { WAY_STOCK, WAY_HAND, WAY_OURS };
enum reference_work {
	WORK_SIGN,
	WORK_ENCRYPT_CBC,
	WORK_ENCRYPT_GCM,
	WORK_SIGN_ENCRYPT, /* sign, then AES-256-CBC */
	WORK_DECRYPT_CBC,
	WORK_DECRYPT_GCM,
	WORK_VERIFY,
};

struct reference; /* keys and certificates, parsed; shared by threads */

/* Signer: identity of tests/vectors/cms; n recipients of the same key kind. */
struct reference *reference_new(const char *vectors, const char *signer, guint n_recipients,
				GError **error);
void reference_free(struct reference *reference);

/* The input that this work wants, made of an entity: itself, or a message to read. */
GBytes *reference_input(struct reference *reference, enum reference_work work, GBytes *entity);
/* One unit of work; the result is the message made, or the content read. NULL: it failed. */
GByteArray *reference_do(struct reference *reference, enum reference_work work,
			 enum reference_way way, GBytes *input);
/* Is the result what it has to be? By OpenSSL's stock calls. */
gboolean reference_check(struct reference *reference, enum reference_work work, GBytes *entity,
			 const GByteArray *result);

#endif
