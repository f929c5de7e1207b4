/*
 * spool_cipher - encrypts blocks of a spool file under a random key of the process.
 *
 * AES-256-GCM; the nonce is made of the file's number and the block's number, each block is
 * sealed once. The key is never written anywhere: what a crash leaves on a disk is noise.
 * Threads: any (a cipher is immutable).
 */
#ifndef PKI_CRYPTO_SPOOL_CIPHER_H
#define PKI_CRYPTO_SPOOL_CIPHER_H

#include <glib.h>

#include "store/base/cleanup.h"

#define SPOOL_CIPHER_TAG_BYTES 16

struct spool_cipher;

struct spool_cipher *spool_cipher_new(GError **error) G_GNUC_WARN_UNUSED_RESULT;
void spool_cipher_free(struct spool_cipher *cipher);
/* out takes length + SPOOL_CIPHER_TAG_BYTES bytes; it may be in. */
gboolean spool_cipher_seal(struct spool_cipher *cipher, guint64 file, guint32 block,
			   const guint8 *in, gsize length, guint8 *out,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* in has length + SPOOL_CIPHER_TAG_BYTES bytes, out takes length. PS_ERROR_BUG: not what was
 * written. */
gboolean spool_cipher_open(struct spool_cipher *cipher, guint64 file, guint32 block,
			   const guint8 *in, gsize length, guint8 *out,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(spool_cipher, spool_cipher_free)

#endif
