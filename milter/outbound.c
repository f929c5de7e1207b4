/*
 * outbound - canonical form, signature, encryption, wrapping: a stream from spool to spool.
 */
#include "milter/outbound.h"

#include "milter/message/edits.h"
#include "milter/message/spool.h"
#include "milter/mime/canonical.h"
#include "milter/mime/protect.h"
#include "milter/mime/returned.h"
#include "milter/mime/wrap.h"
#include "milter/policy/groups.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/cms_sign.h"
#include "store/base/clock.h"
#include "store/base/error.h"

/* A kept signer holds an unsealed key: few, and none for longer than this without use. */
#define SIGNERS_MAX 256
#define SIGNER_IDLE_US (G_GINT64_CONSTANT(600) * 1000000)

struct kept_signer {
	struct cms_signer *signer;
	gint64 used_us;
};

struct outbound {
	GMutex lock;
	GHashTable *signers; /* of key_of() to struct kept_signer */
	guint64 hits;
	guint64 misses;
};

/* ---- signers that are kept ------------------------------------------------------------------ */

static void
kept_signer_free(gpointer data)
{
	struct kept_signer *kept = data;

	cms_signer_unref(kept->signer);
	g_free(kept);
}

struct outbound *
outbound_new(void)
{
	struct outbound *outbound = g_new0(struct outbound, 1);

	g_mutex_init(&outbound->lock);
	outbound->signers =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, kept_signer_free);
	return outbound;
}

void
outbound_free(struct outbound *outbound)
{
	if (outbound == NULL)
		return;
	g_hash_table_unref(outbound->signers);
	g_mutex_clear(&outbound->lock);
	g_free(outbound);
}

void
outbound_stats(struct outbound *outbound, guint64 *hits, guint64 *misses)
{
	g_mutex_lock(&outbound->lock);
	*hits = outbound->hits;
	*misses = outbound->misses;
	g_mutex_unlock(&outbound->lock);
}

static enum cms_digest
digest_of(enum copy_digest digest)
{
	switch (digest) {
	case DIGEST_SHA256:
		return CMS_DIGEST_SHA256;
	case DIGEST_SHA384:
		return CMS_DIGEST_SHA384;
	case DIGEST_SHA512:
		break;
	}
	return CMS_DIGEST_SHA512;
}

static enum cms_cipher
cipher_of(enum copy_cipher cipher)
{
	switch (cipher) {
	case CIPHER_AES_128_CBC:
		return CMS_CIPHER_AES_128_CBC;
	case CIPHER_AES_128_GCM:
		return CMS_CIPHER_AES_128_GCM;
	case CIPHER_AES_256_GCM:
		return CMS_CIPHER_AES_256_GCM;
	case CIPHER_AES_256_CBC:
		break;
	}
	return CMS_CIPHER_AES_256_CBC;
}

static enum cms_transport
transport_of(enum copy_transport transport)
{
	switch (transport) {
	case TRANSPORT_PKCS1:
		return CMS_TRANSPORT_PKCS1;
	case TRANSPORT_OAEP_SHA384:
		return CMS_TRANSPORT_OAEP_SHA384;
	case TRANSPORT_OAEP_SHA512:
		return CMS_TRANSPORT_OAEP_SHA512;
	case TRANSPORT_OAEP_SHA256:
		break;
	}
	return CMS_TRANSPORT_OAEP_SHA256;
}

/* Everything that the encoded signer depends on. */
static char *
key_of(const struct outbound_request *request)
{
	const struct group *group = request->group;
	GString *key = g_string_sized_new(512);

	g_string_append_printf(key, "%d.%d.", (int)group->plan.digest, (int)group->plan.scheme);
	g_string_append(key, cert_thumbprint(group->signer));
	g_string_append_c(key, '.');
	if (request->encryption != NULL)
		g_string_append(key, cert_thumbprint(request->encryption));
	if (group->plan.include_chain && group->signer_chain != NULL) {
		for (guint i = 0; i < group->signer_chain->len; i++) {
			g_string_append_c(key, '.');
			g_string_append(key, cert_thumbprint(group->signer_chain->pdata[i]));
		}
	}
	return g_string_free(key, FALSE);
}

static gboolean
is_idle(gpointer key, gpointer value, gpointer data)
{
	(void)key;
	return *(gint64 *)data - ((struct kept_signer *)value)->used_us > SIGNER_IDLE_US;
}

static struct cms_signer *
find_signer(struct outbound *outbound, const char *key)
{
	struct cms_signer *found = NULL;
	struct kept_signer *kept;

	g_mutex_lock(&outbound->lock);
	kept = g_hash_table_lookup(outbound->signers, key);
	if (kept != NULL) {
		kept->used_us = clock_monotonic_us();
		found = cms_signer_ref(kept->signer);
		outbound->hits++;
	} else {
		outbound->misses++;
	}
	g_mutex_unlock(&outbound->lock);
	return found;
}

static void
keep_signer(struct outbound *outbound, const char *key, struct cms_signer *signer)
{
	struct kept_signer *kept = g_new0(struct kept_signer, 1);
	gint64 now = clock_monotonic_us();

	kept->signer = cms_signer_ref(signer);
	kept->used_us = now;
	g_mutex_lock(&outbound->lock);
	g_hash_table_foreach_remove(outbound->signers, is_idle, &now);
	if (g_hash_table_size(outbound->signers) >= SIGNERS_MAX)
		g_hash_table_remove_all(outbound->signers);
	g_hash_table_replace(outbound->signers, g_strdup(key), kept);
	g_mutex_unlock(&outbound->lock);
}

static struct cms_signer *
signer_for(struct outbound *outbound, const struct outbound_request *request, GError **error)
{
	const struct group *group = request->group;
	struct cms_signer_options options = {
		.digest = digest_of(group->plan.digest),
		.scheme = group->plan.scheme == SCHEME_PSS ? CMS_SCHEME_PSS : CMS_SCHEME_PKCS1,
		.chain = group->plan.include_chain ? group->signer_chain : NULL,
		.encryption = request->encryption,
	};
	g_autofree char *key = key_of(request);
	struct cms_signer *signer = find_signer(outbound, key);

	if (signer != NULL)
		return signer;
	signer = cms_signer_new(group->signer, group->signer_key, &options, error);
	if (signer == NULL)
		return NULL;
	keep_signer(outbound, key, signer);
	return signer;
}

/* ---- header protection ---------------------------------------------------------------------- */

/* The fields as they leave, trigger words and results of ours removed. NULL without an error:
 * none are protected. */
static struct headers *
fields_to_protect(const struct outbound_request *request, struct edits *edits, GError **error)
{
	return request->group->plan.hp == HEADERS_OFF
		   ? NULL
		   : edits_apply_headers(edits, request->tree->root->headers, error);
}

/* Puts them into the canonical form; nothing to do without fields. */
static gboolean
protect_canonical(const struct outbound_request *request, struct canonical *canonical,
		  const struct headers *fields, gboolean signing, GError **error)
{
	const struct plan *plan = &request->group->plan;
	struct protect_request protection = {
		.headers = fields,
		.area = request->area,
		.encrypted = plan->encrypt,
		.hide = plan->hp == HEADERS_SIGNED_AND_ENCRYPTED,
		.is_signed = signing,
	};
	struct spool *payload;

	if (fields == NULL)
		return TRUE;
	payload = protect_entity(canonical->entity, &protection, &canonical->needs_opaque, error);
	if (payload == NULL)
		return FALSE;
	spool_unref(canonical->entity);
	canonical->entity = payload;
	return TRUE;
}

/* ---- the two layers ------------------------------------------------------------------------- */

static struct wrapped *
sign_clear(struct cms_signer *signer, const struct outbound_request *request, struct spool *entity,
	   GError **error)
{
	CLEANUP(cms_sign) struct cms_sign *sign = cms_sign_detached(signer, request->now);
	g_autoptr(GBytes) signature = NULL;

	if (!spool_write(entity, cms_sign_sink(sign), error))
		return NULL;
	signature = cms_sign_finish_detached(sign, error);
	if (signature == NULL)
		return NULL;
	return wrap_clear_signed(request->area, entity, signature,
				 cms_digest_name(cms_signer_digest(signer)), error);
}

static struct wrapped *
sign_opaque(struct cms_signer *signer, const struct outbound_request *request, struct spool *entity,
	    GError **error)
{
	CLEANUP(wrap_cms) struct wrap_cms *wrap = wrap_cms_new(request->area, WRAP_SIGNED_DATA);
	CLEANUP(cms_sign)
	struct cms_sign *sign =
	    cms_sign_opaque(signer, request->now, spool_size(entity), wrap_cms_sink(wrap));

	if (!spool_write(entity, cms_sign_sink(sign), error) ||
	    !cms_sign_finish_opaque(sign, error))
		return NULL;
	return wrap_cms_finish(wrap, error);
}

static struct wrapped *
sign_layer(struct outbound *outbound, const struct outbound_request *request,
	   const struct headers *fields, GError **error)
{
	CLEANUP(canonical)
	struct canonical *canonical = canonical_for_signing(request->tree, request->area, error);
	CLEANUP(cms_signer) struct cms_signer *signer = NULL;

	if (canonical == NULL || !protect_canonical(request, canonical, fields, TRUE, error))
		return NULL;
	signer = signer_for(outbound, request, error);
	if (signer == NULL)
		return NULL;
	if (request->group->plan.format == FORMAT_OPAQUE || canonical->needs_opaque)
		return sign_opaque(signer, request, canonical->entity, error);
	return sign_clear(signer, request, canonical->entity, error);
}

static struct wrapped *
encrypt_entity(const struct outbound_request *request, struct spool *entity, GError **error)
{
	const struct group *group = request->group;
	gsize count = group->certificates->len;
	g_autofree struct cms_recipient *recipients = g_new0(struct cms_recipient, count);
	struct cms_encrypt_options options = {
		.cipher = cipher_of(group->plan.cipher),
		.mixed_kinds = group->plan.keys == KEYS_MIXED,
		.content_size = spool_size(entity),
	};
	CLEANUP(wrap_cms)
	struct wrap_cms *wrap = wrap_cms_new(request->area, cms_cipher_is_aead(options.cipher)
								? WRAP_AUTH_ENVELOPED_DATA
								: WRAP_ENVELOPED_DATA);
	CLEANUP(cms_encrypt) struct cms_encrypt *encrypt = NULL;

	for (gsize i = 0; i < count; i++) {
		recipients[i].cert = group->certificates->pdata[i];
		recipients[i].transport = transport_of(group->plan.transport);
	}
	encrypt = cms_encrypt_new(recipients, count, &options, wrap_cms_sink(wrap), error);
	if (encrypt == NULL || !spool_write(entity, cms_encrypt_sink(encrypt), error) ||
	    !cms_encrypt_finish(encrypt, error))
		return NULL;
	return wrap_cms_finish(wrap, error);
}

/* What is encrypted is the signed message, or the message as it came. */
static struct wrapped *
encrypt_layer(const struct outbound_request *request, const struct wrapped *inner,
	      const struct headers *fields, GError **error)
{
	CLEANUP(canonical) struct canonical *canonical = NULL;
	CLEANUP(spool) struct spool *entity = NULL;

	if (inner != NULL) {
		entity = wrapped_entity(inner, error);
	} else {
		canonical = canonical_for_encryption(request->tree, request->area, error);
		if (canonical != NULL &&
		    protect_canonical(request, canonical, fields, FALSE, error))
			entity = spool_ref(canonical->entity);
	}
	return entity != NULL ? encrypt_entity(request, entity, error) : NULL;
}

/* The outermost layer. */
static struct wrapped *
make_layers(struct outbound *outbound, const struct outbound_request *request, struct edits *edits,
	    GError **error)
{
	const struct plan *plan = &request->group->plan;
	CLEANUP(wrapped) struct wrapped *inner = NULL;
	CLEANUP(headers) struct headers *fields = NULL;

	if (plan->outcome == OUTCOME_CUT)
		return returned_cut(request->tree, request->area, error);
	if (!plan->sign && !plan->encrypt)
		return fail(error, PS_ERROR_BUG, "a plan that asks for nothing");
	fields = fields_to_protect(request, edits, error);
	if (fields == NULL && plan->hp != HEADERS_OFF)
		return NULL;
	if (plan->sign) {
		inner = sign_layer(outbound, request, fields, error);
		if (inner == NULL)
			return NULL;
	}
	return plan->encrypt ? encrypt_layer(request, inner, fields, error)
			     : g_steal_pointer(&inner);
}

gboolean
outbound_carry_out(struct outbound *outbound, const struct outbound_request *request,
		   struct edits *edits, GError **error)
{
	GError *cause = NULL;
	CLEANUP(wrapped) struct wrapped *layer = make_layers(outbound, request, edits, &cause);

	if (layer == NULL) {
		/* A key that does not fit, a certificate that cannot be used: mended one day. */
		if (g_error_matches(cause, PS_ERROR, PS_ERROR_INVALID))
			cause->code = PS_ERROR_TEMPORARY;
		g_propagate_error(error, cause);
		return FALSE;
	}
	if (request->group->plan.hp == HEADERS_SIGNED_AND_ENCRYPTED)
		protect_hide(request->tree->root->headers, edits);
	wrapped_edit(layer, request->tree->root->headers, edits);
	return TRUE;
}
