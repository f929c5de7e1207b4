/*
 * code - a derived key in letters and digits.
 */
#include "pki/handlers/code.h"

#include "pki/handlers/handler.h"
#include "pki/keyring.h"
#include "store/base/secret.h"
#include "store/requests.h"

#define CODE_LENGTH 20 /* of 32 letters: 100 bits */

struct secret *
code_of_request(const struct handler_context *context, const struct request_row *request,
		const char *purpose, gint64 generation, GError **error)
{
	static const char alphabet[] = "abcdefghijkmnpqrstuvwxyz23456789";
	g_autofree char *label = g_strdup_printf("request code %s %" G_GINT64_FORMAT " %s", purpose,
						 request->id, request->spki_sha256);
	CLEANUP(secret)
	struct secret *bytes =
	    keyring_derive_at(context->keyring, generation, label, CODE_LENGTH, error);
	char text[CODE_LENGTH];

	if (bytes == NULL)
		return NULL;
	for (gsize i = 0; i < CODE_LENGTH; i++)
		text[i] =
		    alphabet[((const guint8 *)secret_bytes(bytes))[i] % (sizeof(alphabet) - 1)];
	struct secret *code = secret_new(text, CODE_LENGTH);
	wipe(text, sizeof(text));
	return code;
}
