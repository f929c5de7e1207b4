/*
 * wrap - the S/MIME message around a signed or encrypted object (RFC 8551 section 3).
 *
 * What is wrapped is an entity (canonical.h, or wrapped_entity of an inner layer); what comes
 * out is a body and the content fields that the outer message needs for it. The other Content-*
 * fields of the message are inside and leave the outer one.
 */
#ifndef MILTER_MIME_WRAP_H
#define MILTER_MIME_WRAP_H

#include "milter/message/edits.h"

enum wrap_type { WRAP_SIGNED_DATA, WRAP_ENVELOPED_DATA, WRAP_AUTH_ENVELOPED_DATA };

struct wrapped; /* immutable */
struct wrap_cms;

/* multipart/signed. digest is "sha256", "sha384" or "sha512". */
struct wrapped *wrap_clear_signed(struct spool_area *area, struct spool *entity,
				  GBytes *signature_der, const char *digest,
				  GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* application/pkcs7-mime: the DER or BER of the object is written into the sink as it is made. */
struct wrap_cms *wrap_cms_new(struct spool_area *area, enum wrap_type type);
struct sink *wrap_cms_sink(struct wrap_cms *wrap);
struct wrapped *wrap_cms_finish(struct wrap_cms *wrap, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void wrap_cms_free(struct wrap_cms *wrap);

/* A body of our own that is not protected: type is its raw Content-Type value, taken over. */
struct wrapped *wrap_unprotected(struct spool_area *area, struct spool *body, char *type);
/* Of a multipart that is made here; free it. */
char *wrap_boundary(GError **error) G_GNUC_WARN_UNUSED_RESULT;

struct spool *wrapped_body(const struct wrapped *wrapped); /* borrowed */
/* Content fields and body as one entity: what the next layer signs or encrypts. Sealed. */
struct spool *wrapped_entity(const struct wrapped *wrapped,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Makes the message that has headers carry the wrapped body: MIME-Version, Content-Type,
 * Content-Transfer-Encoding and Content-Disposition as needed, every other Content-* removed. */
void wrapped_edit(const struct wrapped *wrapped, const struct headers *headers,
		  struct edits *edits);
/* MIME-Version alone, where it is not as it should be. */
void wrapped_edit_version(const struct headers *headers, struct edits *edits);
void wrapped_free(struct wrapped *wrapped);

DEFINE_CLEANUP(wrapped, wrapped_free)
DEFINE_CLEANUP(wrap_cms, wrap_cms_free)

#endif
