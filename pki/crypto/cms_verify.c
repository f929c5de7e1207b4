#include "pki/crypto/cms_verify.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/cms_id.h"
#include "pki/crypto/cms_oid.h"
#include "pki/crypto/cms_signed.h"
#include "pki/crypto/cms_signer_info.h"
#include "pki/crypto/internal.h"
#include "store/base/buffer.h"

#define DIGESTS_MAX 8
#define CANDIDATES_MAX 4
/* How much of the content is looked at for attributes in disguise. */
#define CONTENT_HEAD_BYTES 4096

/* One digest of the content. */
struct digest {
	guint8 oid[16];
	gsize oid_length;
	EVP_MD_CTX *context;
	guint8 value[EVP_MAX_MD_SIZE];
	unsigned int length;
};

/* The content on its way: into every digest, and out. */
struct digest_sink {
	struct sink sink;
	struct sink *out;
	struct digest digests[DIGESTS_MAX];
	guint n_digests;
	guint8 head[CONTENT_HEAD_BYTES];
	gsize head_length;
	guint64 size;
};

static gboolean
digest_sink_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct digest_sink *content = (struct digest_sink *)self;
	gsize keep = MIN(length, sizeof content->head - content->head_length);

	if (keep > 0)
		memcpy(content->head + content->head_length, bytes, keep);
	content->head_length += keep;
	content->size += length;
	for (guint i = 0; i < content->n_digests; i++)
		if (EVP_DigestUpdate(content->digests[i].context, bytes, length) <= 0)
			return fail_openssl_false(error, PS_ERROR_TEMPORARY, "could not digest");
	return content->out == NULL || sink_write(content->out, bytes, length, error);
}

static struct digest *
digest_find(struct digest_sink *content, const struct tlv *oid)
{
	for (guint i = 0; i < content->n_digests; i++)
		if (tlv_is(oid, content->digests[i].oid, content->digests[i].oid_length))
			return &content->digests[i];
	return NULL;
}

/* One that is not known is left out: its signers become unknown. */
static void
digest_add(struct digest_sink *content, const struct tlv *oid)
{
	g_autofree char *name = oid_field_name(oid);
	const EVP_MD *md = EVP_get_digestbyname(name);
	struct digest *digest = &content->digests[content->n_digests];

	if (md == NULL || content->n_digests == DIGESTS_MAX || oid->length > sizeof digest->oid ||
	    digest_find(content, oid) != NULL)
		return;
	digest->context = EVP_MD_CTX_new();
	if (digest->context == NULL || EVP_DigestInit_ex2(digest->context, md, NULL) <= 0) {
		ERR_clear_error();
		g_clear_pointer(&digest->context, EVP_MD_CTX_free);
		return;
	}
	memcpy(digest->oid, oid->bytes, oid->length);
	digest->oid_length = oid->length;
	content->n_digests++;
}

static gboolean
digests_finish(struct digest_sink *content, GError **error)
{
	for (guint i = 0; i < content->n_digests; i++) {
		struct digest *digest = &content->digests[i];

		if (EVP_DigestFinal_ex(digest->context, digest->value, &digest->length) <= 0)
			return fail_openssl_false(error, PS_ERROR_TEMPORARY, "could not digest");
	}
	return TRUE;
}

static void
digest_sink_init(struct digest_sink *content, struct sink *out)
{
	content->sink.write = digest_sink_write;
	content->out = out;
	content->n_digests = 0;
	content->head_length = 0;
	content->size = 0;
}

static void
digest_sink_clear(struct digest_sink *content)
{
	for (guint i = 0; i < content->n_digests; i++)
		EVP_MD_CTX_free(content->digests[i].context);
}

/* ---- one signer ---- */

static struct cert *
cert_make(const struct cms_verify_options *options, GBytes *der)
{
	g_autoptr(GError) ignored = NULL;

	if (options->parse != NULL)
		return options->parse(options->data, der, &ignored);
	return cert_parse(der, &ignored);
}

/* Every certificate that goes by this name, up to a few: one that is false must not hide the
 * right one. */
static GPtrArray *
candidates_find(const struct cms_signer_id *id, const struct cms_verify_options *options,
		GPtrArray *certs)
{
	GPtrArray *found = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	struct cert *one;

	for (guint i = 0; options->certs != NULL && i < options->certs->len; i++) {
		one = g_ptr_array_index(options->certs, i);
		if (found->len < CANDIDATES_MAX && cms_signer_id_matches(id, one))
			g_ptr_array_add(found, cert_ref(one));
	}
	for (guint i = 0; i < certs->len && found->len < CANDIDATES_MAX; i++) {
		GBytes *der = g_ptr_array_index(certs, i);

		if (!cms_signer_id_matches_der(id, der))
			continue;
		one = cert_make(options, der);
		if (one != NULL)
			g_ptr_array_add(found, one);
	}
	if (found->len == 0 && options->find != NULL) {
		one = options->find(options->data, id);
		if (one != NULL)
			g_ptr_array_add(found, one);
	}
	return found;
}

/* A DSA key may have its parameters from its issuer (RFC 3279 section 2.3.2): such candidates are
 * completed out of what is at hand, each checked by its issuer's key on the way. */
static void
candidates_complete(GPtrArray *candidates, const struct cms_verify_options *options,
		    GPtrArray *certs)
{
	g_autoptr(GPtrArray) pool = NULL;
	gboolean lacks = FALSE;

	for (guint i = 0; i < candidates->len; i++)
		lacks |= cert_lacks_parameters(candidates->pdata[i]);
	if (!lacks)
		return;
	pool = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < candidates->len; i++)
		g_ptr_array_add(pool, cert_ref(candidates->pdata[i]));
	for (guint i = 0; i < certs->len; i++) {
		struct cert *one = cert_make(options, certs->pdata[i]);

		if (one != NULL)
			g_ptr_array_add(pool, one);
	}
	certs_inherit_parameters(pool, options->certs);
	for (guint i = 0; i < candidates->len; i++) {
		cert_unref(candidates->pdata[i]);
		candidates->pdata[i] = cert_ref(pool->pdata[i]);
	}
}

/* A signature over attributes can be shown as one over content that spells the same bytes: the
 * attributes' own encoding. No mail part begins like that. */
static gboolean
content_is_attributes(const struct digest_sink *content)
{
	return content->head_length > 2 && content->head[0] == TLV_SET &&
	       memmem(content->head, content->head_length, oid_message_digest.bytes,
		      oid_message_digest.length) != NULL;
}

static enum cms_signature
signer_judge(struct cms_signer_report *report, const struct cms_signer_fields *fields,
	     const struct cms_signed *data, struct digest_sink *content,
	     const struct cms_verify_options *options, const char **reason)
{
	const struct digest *digest = digest_find(content, &fields->digest_oid);
	g_autoptr(GPtrArray) candidates = candidates_find(&fields->id, options, data->certs);
	enum cms_signature signature = CMS_SIGNATURE_UNKNOWN;
	struct tlv value;

	candidates_complete(candidates, options, data->certs);
	if (candidates->len > 0)
		report->cert = cert_ref(g_ptr_array_index(candidates, 0));
	*reason = "attributes are missing, doubled or malformed";
	if (fields->attributes_wrong)
		return CMS_SIGNATURE_BAD;
	*reason = "the signed type of content is another one";
	if (fields->has_attributes
		? !tlv_is(&fields->content_type, g_bytes_get_data(data->content_oid, NULL),
			  g_bytes_get_size(data->content_oid))
		: !cms_oid_is(data->content_oid, &oid_data))
		return CMS_SIGNATURE_BAD;
	*reason = "signature without attributes over content that looks like attributes";
	if (!fields->has_attributes && content_is_attributes(content))
		return CMS_SIGNATURE_BAD;
	*reason = "digest algorithm is not supported or not announced";
	if (digest == NULL)
		return CMS_SIGNATURE_UNKNOWN;
	value = (struct tlv){ digest->value, digest->length };
	*reason = "the signer's certificate is not known";
	for (guint i = 0; i < candidates->len; i++) {
		struct cert *cert = g_ptr_array_index(candidates, i);

		signature = cms_signer_check(fields, cert, &value, reason);
		if (signature == CMS_SIGNATURE_GOOD) {
			cert_unref(report->cert);
			report->cert = cert_ref(cert);
			break;
		}
	}
	return signature;
}

static gboolean
is_legacy(const struct cms_signer_report *report)
{
	enum algorithm digest = algorithm_by_name(report->digest);

	if (digest == ALGORITHM_UNKNOWN || algorithm_standing(digest) != ALGORITHM_MODERN)
		return TRUE;
	return report->cert != NULL &&
	       !key_strength_allowed(cert_key_kind(report->cert), cert_key_bits(report->cert));
}

static void
report_name(struct cms_signer_report *report, struct cms_signer_fields *fields)
{
	struct capabilities announced = cms_signer_capabilities(fields);

	report->id = fields->id;
	memset(&fields->id, 0, sizeof fields->id);
	report->digest = oid_algorithm_name(&fields->digest_oid);
	report->algorithm = oid_field_name(&fields->signature_oid);
	report->signing_time = cms_signer_signing_time(fields);
	report->has_capabilities = fields->capabilities.length > 0;
	report->capabilities = announced.ciphers;
	report->transports = announced.transports;
	cms_signer_preference(fields, &report->encryption);
	report->legacy = is_legacy(report);
}

static struct cms_signer_report *
signer_report(GBytes *signer_info, const struct cms_signed *data, struct digest_sink *content,
	      gboolean content_missing, const struct cms_verify_options *options)
{
	struct cms_signer_report *report = g_new0(struct cms_signer_report, 1);
	struct cms_signer_fields fields;
	const char *reason = "malformed signerInfo";

	report->signature = CMS_SIGNATURE_BAD;
	if (cms_signer_fields_read(&fields, signer_info))
		report->signature = signer_judge(report, &fields, data, content, options, &reason);
	if (content_missing) {
		report->signature = CMS_SIGNATURE_UNKNOWN;
		reason = "the content is not here";
	}
	report->reason = g_strdup(reason);
	report_name(report, &fields);
	return report;
}

static void
signer_report_free(gpointer data)
{
	struct cms_signer_report *report = data;

	cert_unref(report->cert);
	cms_signer_id_clear(&report->id);
	cms_signer_id_clear(&report->encryption);
	g_free(report->reason);
	g_free(report->digest);
	g_free(report->algorithm);
	g_free(report);
}

/* ---- the whole ---- */

static struct cms_verify_report *
report_make(struct cms_signed *data, struct digest_sink *content, gboolean content_missing,
	    const struct cms_verify_options *options)
{
	struct cms_verify_report *report = g_new0(struct cms_verify_report, 1);

	report->signers = g_ptr_array_new_with_free_func(signer_report_free);
	for (guint i = 0; i < data->signer_infos->len; i++)
		g_ptr_array_add(report->signers,
				signer_report(g_ptr_array_index(data->signer_infos, i), data,
					      content, content_missing, options));
	report->certs = g_ptr_array_ref(data->certs);
	report->crls = g_ptr_array_ref(data->crls);
	report->content_type = cms_signed_content_type(data);
	report->detached = !data->has_content;
	report->content_size = content->size;
	return report;
}

static gboolean
signed_open(struct cms_signed *data, GError **error)
{
	g_autoptr(GBytes) type = cms_content_info_open(&data->ber, error);

	if (type == NULL)
		return FALSE;
	if (!cms_oid_is(type, &oid_signed_data))
		return fail_false(error, PS_ERROR_INVALID, "not a SignedData object");
	return cms_signed_head(data, error);
}

static const struct cms_verify_options no_options;

struct cms_verify_report *
cms_verify(struct source *object, struct sink *content_out,
	   const struct cms_verify_options *options, GError **error)
{
	g_autofree struct digest_sink *content = g_new(struct digest_sink, 1);
	struct cms_verify_report *report = NULL;
	struct cms_signed data;
	struct tlv oid, params;
	guint64 size = 0;

	if (options == NULL)
		options = &no_options;
	cms_signed_init(&data, object, options->limits);
	digest_sink_init(content, content_out);
	if (!signed_open(&data, error))
		goto out;
	for (guint i = 0; i < data.digests->len; i++)
		if (cms_algorithm_read(g_ptr_array_index(data.digests, i), &oid, &params))
			digest_add(content, &oid);
	if (data.has_content && !cms_signed_content(&data, &content->sink, &size, error))
		goto out;
	if (cms_signed_tail(&data, error) && digests_finish(content, error))
		report = report_make(&data, content, !data.has_content, options);
out:
	digest_sink_clear(content);
	cms_signed_clear(&data);
	return report;
}

/* The digests that the signers use, announced or not. */
static void
digests_of_signers(struct digest_sink *content, GPtrArray *signer_infos)
{
	for (guint i = 0; i < signer_infos->len; i++) {
		struct cms_signer_fields fields;

		if (cms_signer_fields_read(&fields, g_ptr_array_index(signer_infos, i)))
			digest_add(content, &fields.digest_oid);
		cms_signer_id_clear(&fields.id);
	}
}

struct cms_verify_report *
cms_verify_detached(struct source *object, struct source *content_in,
		    const struct cms_verify_options *options, GError **error)
{
	g_autofree struct digest_sink *content = g_new(struct digest_sink, 1);
	struct cms_verify_report *report = NULL;
	struct cms_signed data;

	if (options == NULL)
		options = &no_options;
	cms_signed_init(&data, object, options->limits);
	digest_sink_init(content, NULL);
	if (!signed_open(&data, error))
		goto out;
	if (data.has_content) {
		fail(error, PS_ERROR_INVALID, "a detached signature with content of its own");
		goto out;
	}
	if (!cms_signed_tail(&data, error))
		goto out;
	digests_of_signers(content, data.signer_infos);
	if (source_copy(content_in, &content->sink, error) && digests_finish(content, error))
		report = report_make(&data, content, FALSE, options);
out:
	digest_sink_clear(content);
	cms_signed_clear(&data);
	return report;
}

void
cms_verify_report_free(struct cms_verify_report *report)
{
	if (report == NULL)
		return;
	g_ptr_array_unref(report->signers);
	g_ptr_array_unref(report->certs);
	g_ptr_array_unref(report->crls);
	g_free(report->content_type);
	g_free(report);
}
