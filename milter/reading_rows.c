/*
 * reading_rows - making and freeing them.
 */
#include "milter/reading_rows.h"

#include "pki/crypto/cert.h"

const char *
layer_type_name(enum layer_type type)
{
	switch (type) {
	case LAYER_SIGNED:
		return "signed";
	case LAYER_ENCRYPTED:
		return "encrypted";
	case LAYER_COMPRESSED:
		return "compressed";
	case LAYER_CERTS_ONLY:
		return "certs-only";
	case LAYER_OTHER:
		return "other";
	}
	return "signed";
}

static void
layer_free(gpointer data)
{
	struct reading_layer *layer = data;

	g_free(layer->content_type);
	g_free(layer->algorithm);
	g_ptr_array_unref(layer->recipients);
	g_free(layer);
}

static void
signer_free(gpointer data)
{
	struct reading_signer *signer = data;

	if (signer->cert != NULL)
		cert_unref(signer->cert);
	g_free(signer->subject);
	g_ptr_array_unref(signer->emails);
	g_free(signer->digest);
	g_free(signer->algorithm);
	g_free(signer->reason);
	cms_signer_id_clear(&signer->encryption);
	g_free(signer);
}

static void
part_free(gpointer data)
{
	struct reading_part *part = data;

	g_free(part->type);
	g_free(part->encoding);
	g_free(part->name);
	g_free(part);
}

GPtrArray *
reading_layers_new(void)
{
	return g_ptr_array_new_with_free_func(layer_free);
}

GPtrArray *
reading_signers_new(void)
{
	return g_ptr_array_new_with_free_func(signer_free);
}

GPtrArray *
reading_parts_new(void)
{
	return g_ptr_array_new_with_free_func(part_free);
}
