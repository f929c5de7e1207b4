#include "tests/bench/reference.h"

#include <openssl/err.h>
#include <string.h>
#include <time.h>

#include "pki/crypto/base64.h"
#include "pki/crypto/cms_decrypt.h"
#include "pki/crypto/cms_encrypt.h"
#include "pki/crypto/cms_sign.h"
#include "pki/crypto/cms_verify.h"
#include "pki/crypto/internal.h"
#include "store/base/buffer.h"

#define RECIPIENTS_MAX 16
#define BOUNDARY "----=_postseal_bench_0123456789"
#define CLEAR_HEAD                                                                                 \
	"MIME-Version: 1.0\r\nContent-Type: multipart/signed;\r\n"                                 \
	" protocol=\"application/pkcs7-signature\"; micalg=sha-256;\r\n"                           \
	" boundary=\"" BOUNDARY "\"\r\n\r\n"
#define SIGNATURE_HEAD                                                                             \
	"Content-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"                        \
	"Content-Transfer-Encoding: base64\r\n\r\n"
#define ENVELOPE_HEAD                                                                              \
	"MIME-Version: 1.0\r\nContent-Type: application/pkcs7-mime;\r\n"                           \
	" smime-type=enveloped-data; name=\"smime.p7m\"\r\n"                                       \
	"Content-Transfer-Encoding: base64\r\n\r\n"

struct reference {
	X509 *x509;
	EVP_PKEY *pkey;
	STACK_OF(X509) * to;
	X509_STORE *roots;
	struct cert *cert;
	struct key *key;
	struct cms_signer *signer;
	struct cms_recipient recipients[RECIPIENTS_MAX];
	guint n_recipients;
};

/* ---- loading ---- */

static GBytes *
pem_read(const char *vectors, const char *name, const char *suffix)
{
	g_autofree char *file = g_strconcat(name, suffix, NULL);
	g_autofree char *path = g_build_filename(vectors, file, NULL);
	g_autofree char *text = NULL;
	char *start, *end;
	guchar *der;
	gsize length;

	if (!g_file_get_contents(path, &text, NULL, NULL) ||
	    (start = strstr(text, "-----\n")) == NULL || (end = strstr(start, "-----END")) == NULL)
		return NULL;
	*end = '\0';
	der = g_base64_decode(start + 6, &length);
	return g_bytes_new_take(der, length);
}

static struct cert *
cert_load(const char *vectors, const char *name, GError **error)
{
	g_autoptr(GBytes) der = pem_read(vectors, name, ".crt.pem");

	if (der == NULL)
		return fail(error, PS_ERROR_NOT_FOUND, "no certificate %s in %s", name, vectors);
	return cert_parse(der, error);
}

static struct key *
key_load(const char *vectors, const char *name, GError **error)
{
	g_autoptr(GBytes) der = pem_read(vectors, name, ".key.pem");
	CLEANUP(secret) struct secret *secret = NULL;

	if (der == NULL)
		return fail(error, PS_ERROR_NOT_FOUND, "no key %s in %s", name, vectors);
	secret = secret_new(g_bytes_get_data(der, NULL), g_bytes_get_size(der));
	return key_parse_pkcs8(secret, error);
}

/* The signer himself, then certificates with his key under other serial numbers. */
static void
recipient_add(struct reference *reference, guint i)
{
	g_autoptr(X509) copy = X509_dup(reference->x509);
	struct cert *cert;

	if (i > 0) {
		ASN1_INTEGER_set(X509_get_serialNumber(copy), (long)i);
		X509_sign(copy, reference->pkey, EVP_sha256());
	}
	cert = i == 0 ? cert_ref(reference->cert) : cert_parse_x509(copy, NULL);
	if (cert == NULL)
		g_error("no certificate for recipient %u", i);
	reference->recipients[i].cert = cert;
	sk_X509_push(reference->to, cert_x509(cert));
}

struct reference *
reference_new(const char *vectors, const char *name, guint n_recipients, GError **error)
{
	struct reference *reference = g_new0(struct reference, 1);
	struct cms_signer_options options = { .digest = CMS_DIGEST_SHA256 };

	reference->cert = cert_load(vectors, name, error);
	reference->key = reference->cert == NULL ? NULL : key_load(vectors, name, error);
	if (reference->key != NULL)
		reference->signer =
		    cms_signer_new(reference->cert, reference->key, &options, error);
	if (reference->signer == NULL) {
		reference_free(reference);
		return NULL;
	}
	reference->x509 = cert_x509(reference->cert);
	reference->pkey = key_pkey(reference->key);
	reference->to = sk_X509_new_null();
	reference->roots = X509_STORE_new();
	X509_STORE_add_cert(reference->roots, reference->x509);
	reference->n_recipients = MIN(MAX(n_recipients, 1), RECIPIENTS_MAX);
	for (guint i = 0; i < reference->n_recipients; i++)
		recipient_add(reference, i);
	return reference;
}

void
reference_free(struct reference *reference)
{
	if (reference == NULL)
		return;
	for (guint i = 0; i < reference->n_recipients; i++)
		cert_unref((struct cert *)reference->recipients[i].cert);
	sk_X509_free(reference->to);
	X509_STORE_free(reference->roots);
	cms_signer_unref(reference->signer);
	key_unref(reference->key);
	cert_unref(reference->cert);
	g_free(reference);
}

/* ---- pieces ---- */

static BIO *
bio_of(GBytes *bytes)
{
	return BIO_new_mem_buf(g_bytes_get_data(bytes, NULL), (int)g_bytes_get_size(bytes));
}

static GByteArray *
bio_take(BIO *bio)
{
	GByteArray *out = g_byte_array_new();
	char *data;
	long length = BIO_get_mem_data(bio, &data);

	g_byte_array_append(out, (const guint8 *)data, (guint)length);
	return out;
}

static void
text_put(GByteArray *out, const char *text)
{
	g_byte_array_append(out, (const guint8 *)text, (guint)strlen(text));
}

static void
base64_put(struct buffer_sink *out, gconstpointer bytes, gsize length)
{
	struct base64_encoder encoder;

	base64_encoder_init(&encoder, &out->sink);
	if (!sink_write(&encoder.sink, bytes, length, NULL) ||
	    !base64_encoder_finish(&encoder, NULL))
		g_error("base64 failed");
}

/* ---- stock ---- */

static GByteArray *
sign_stock(struct reference *reference, GBytes *input)
{
	g_autoptr(BIO) in = bio_of(input);
	g_autoptr(BIO) out = BIO_new(BIO_s_mem());
	int flags = CMS_DETACHED | CMS_STREAM;
	g_autoptr(CMS_ContentInfo) cms =
	    CMS_sign(reference->x509, reference->pkey, NULL, in, (unsigned int)flags);

	if (cms == NULL || SMIME_write_CMS(out, cms, in, flags) <= 0)
		return NULL;
	return bio_take(out);
}

static GByteArray *
encrypt_stock(struct reference *reference, GBytes *input, const EVP_CIPHER *cipher)
{
	g_autoptr(BIO) in = bio_of(input);
	g_autoptr(BIO) out = BIO_new(BIO_s_mem());
	int flags = CMS_STREAM;
	g_autoptr(CMS_ContentInfo) cms =
	    CMS_encrypt(reference->to, in, cipher, (unsigned int)flags);

	if (cms == NULL || SMIME_write_CMS(out, cms, in, flags) <= 0)
		return NULL;
	return bio_take(out);
}

static GByteArray *
decrypt_stock(struct reference *reference, GBytes *input)
{
	g_autoptr(BIO) in = bio_of(input);
	g_autoptr(BIO) out = BIO_new(BIO_s_mem());
	g_autoptr(CMS_ContentInfo) cms = SMIME_read_CMS(in, NULL);

	if (cms == NULL || CMS_decrypt(cms, reference->pkey, reference->x509, NULL, out, 0) <= 0)
		return NULL;
	return bio_take(out);
}

static GByteArray *
verify_stock(struct reference *reference, GBytes *input)
{
	g_autoptr(BIO) in = bio_of(input);
	g_autoptr(BIO) out = BIO_new(BIO_s_mem());
	BIO *content = NULL;
	CMS_ContentInfo *cms = SMIME_read_CMS(in, &content);
	gboolean ok = cms != NULL && CMS_verify(cms, NULL, reference->roots, content, out, 0) > 0;

	CMS_ContentInfo_free(cms);
	BIO_free(content);
	return ok ? bio_take(out) : NULL;
}

/* ---- by hand, with OpenSSL's own objects ---- */

static GByteArray *
signature_hand(struct reference *reference, GBytes *input)
{
	unsigned int flags = CMS_PARTIAL | CMS_DETACHED | CMS_BINARY | CMS_STREAM;
	g_autoptr(CMS_ContentInfo) cms = CMS_sign(NULL, NULL, NULL, NULL, flags);
	CMS_SignerInfo *info;
	guint8 digest[EVP_MAX_MD_SIZE];
	unsigned int length;
	unsigned char *der = NULL;
	GByteArray *out;
	int size;

	if (cms == NULL || !EVP_Digest(g_bytes_get_data(input, NULL), g_bytes_get_size(input),
				       digest, &length, EVP_sha256(), NULL))
		return NULL;
	info = CMS_add1_signer(cms, reference->x509, reference->pkey, EVP_sha256(),
			       CMS_PARTIAL | CMS_BINARY);
	if (info == NULL ||
	    CMS_signed_add1_attr_by_NID(info, NID_pkcs9_contentType, V_ASN1_OBJECT,
					OBJ_nid2obj(NID_pkcs7_data), -1) <= 0 ||
	    CMS_signed_add1_attr_by_NID(info, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING, digest,
					(int)length) <= 0 ||
	    CMS_SignerInfo_sign(info) <= 0)
		return NULL;
	size = i2d_CMS_ContentInfo(cms, &der);
	out = g_byte_array_new();
	g_byte_array_append(out, der, (guint)MAX(size, 0));
	OPENSSL_free(der);
	return out;
}

/* An S/MIME writer is a sink here: CMS by OpenSSL's stream, base64 by ours. */
static int
sink_bio_write(BIO *bio, const char *bytes, size_t length, size_t *written)
{
	*written = length;
	return sink_write(BIO_get_data(bio), bytes, length, NULL);
}

static long
sink_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO *
sink_bio(struct sink *sink)
{
	static BIO_METHOD *method;
	BIO *bio;

	if (g_once_init_enter(&method)) {
		BIO_METHOD *fresh =
		    BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sink");

		BIO_meth_set_write_ex(fresh, sink_bio_write);
		BIO_meth_set_ctrl(fresh, sink_bio_ctrl);
		g_once_init_leave(&method, fresh);
	}
	bio = BIO_new(method);
	BIO_set_data(bio, sink);
	BIO_set_init(bio, 1);
	return bio;
}

static GByteArray *
encrypt_hand(struct reference *reference, GBytes *input, const EVP_CIPHER *cipher)
{
	struct buffer_sink out;
	struct base64_encoder encoder;
	g_autoptr(CMS_ContentInfo) cms =
	    CMS_encrypt(reference->to, NULL, cipher, CMS_PARTIAL | CMS_STREAM | CMS_BINARY);
	BIO *to, *stream;
	int written;

	buffer_sink_init(&out, G_MAXINT);
	text_put(out.bytes, ENVELOPE_HEAD);
	base64_encoder_init(&encoder, &out.sink);
	to = sink_bio(&encoder.sink);
	stream = cms == NULL ? NULL : BIO_new_CMS(to, cms);
	if (stream == NULL)
		return NULL;
	written = BIO_write(stream, g_bytes_get_data(input, NULL), (int)g_bytes_get_size(input));
	if (written != (int)g_bytes_get_size(input) || BIO_flush(stream) <= 0)
		return NULL;
	while (stream != NULL) {
		BIO *next = BIO_pop(stream);

		BIO_free(stream);
		stream = next;
	}
	if (!base64_encoder_finish(&encoder, NULL))
		return NULL;
	return out.bytes;
}

/* ---- ours ---- */

static GByteArray *
signature_ours(struct reference *reference, GBytes *input)
{
	CLEANUP(cms_sign)
	struct cms_sign *sign = cms_sign_detached(reference->signer, (gint64)time(NULL));
	g_autoptr(GBytes) der = NULL;

	if (!sink_write(cms_sign_sink(sign), g_bytes_get_data(input, NULL), g_bytes_get_size(input),
			NULL))
		return NULL;
	der = cms_sign_finish_detached(sign, NULL);
	return der == NULL ? NULL : g_bytes_unref_to_array(g_steal_pointer(&der));
}

static GByteArray *
encrypt_ours(struct reference *reference, GBytes *input, enum cms_cipher cipher)
{
	struct cms_encrypt_options options = { .cipher = cipher,
					       .content_size = g_bytes_get_size(input) };
	CLEANUP(cms_encrypt) struct cms_encrypt *encrypt = NULL;
	struct base64_encoder encoder;
	struct buffer_sink out;

	buffer_sink_init(&out, G_MAXINT);
	text_put(out.bytes, ENVELOPE_HEAD);
	base64_encoder_init(&encoder, &out.sink);
	encrypt = cms_encrypt_new(reference->recipients, reference->n_recipients, &options,
				  &encoder.sink, NULL);
	if (encrypt == NULL ||
	    !sink_write(cms_encrypt_sink(encrypt), g_bytes_get_data(input, NULL),
			g_bytes_get_size(input), NULL) ||
	    !cms_encrypt_finish(encrypt, NULL) || !base64_encoder_finish(&encoder, NULL))
		return NULL;
	return out.bytes;
}

/* Where the text that follows the first empty line begins. */
static gsize
body_of(GBytes *message, gsize from)
{
	const char *text = g_bytes_get_data(message, NULL);
	gsize length = g_bytes_get_size(message);
	const char *crlf = memmem(text + from, length - from, "\r\n\r\n", 4);
	const char *lf = memmem(text + from, MIN(length - from, 2000), "\n\n", 2);

	if (lf != NULL && (crlf == NULL || lf < crlf))
		return (gsize)(lf - text) + 2;
	return crlf == NULL ? length : (gsize)(crlf - text) + 4;
}

static GByteArray *
decrypt_ours(struct reference *reference, GBytes *input)
{
	const guint8 *text = g_bytes_get_data(input, NULL);
	gsize body = body_of(input, 0);
	struct cms_decrypt_key key = { reference->cert, reference->key };
	g_autofree struct base64_decoder *decoder = g_new(struct base64_decoder, 1);
	CLEANUP(cms_decrypt_report) struct cms_decrypt_report *report = NULL;
	struct buffer_source in;
	struct buffer_sink out;

	buffer_source_init(&in, text + body, g_bytes_get_size(input) - body);
	base64_decoder_init(decoder, &in.source);
	buffer_sink_init(&out, G_MAXINT);
	report = cms_decrypt(&decoder->source, &key, 1, NULL, &out.sink, NULL);
	return report == NULL || report->outcome != CMS_DECRYPTED ? NULL : out.bytes;
}

/* The certificates inside are looked up, as the mail path's cache does. */
static struct cert *
cached_parse(gpointer data, GBytes *der, GError **error)
{
	struct reference *reference = data;

	if (g_bytes_equal(der, cert_der(reference->cert)))
		return cert_ref(reference->cert);
	return cert_parse(der, error);
}

static GByteArray *
verify_ours(struct reference *reference, GBytes *input)
{
	const char *text = g_bytes_get_data(input, NULL);
	gsize length = g_bytes_get_size(input), start, end, tail;
	struct cms_verify_options options = { .parse = cached_parse, .data = reference };
	const char *line, *boundary, *stop;
	g_autofree char *delimiter = NULL;
	g_autofree struct base64_decoder *decoder = g_new(struct base64_decoder, 1);
	CLEANUP(cms_verify_report) struct cms_verify_report *report = NULL;
	struct buffer_source content, in;
	GByteArray *out;

	boundary = memmem(text, MIN(length, 1000), "boundary=\"", 10);
	stop = boundary == NULL ? NULL : strchr(boundary + 10, '"');
	if (stop == NULL)
		return NULL;
	delimiter = g_strdup_printf("\n--%.*s", (int)(stop - boundary - 10), boundary + 10);
	line = memmem(text, length, delimiter, strlen(delimiter));
	if (line == NULL)
		return NULL;
	start = (gsize)(strchr(line + 1, '\n') - text) + 1;
	/* The signature is at the end: its delimiter is the last but one. */
	tail = length > 8000 ? length - 8000 : start;
	line = memmem(text + tail, length - tail, delimiter, strlen(delimiter));
	if (line == NULL)
		return NULL;
	end = (gsize)(line - text) - (line[-1] == '\r' ? 1 : 0);
	tail = body_of(input, (gsize)(line - text));
	buffer_source_init(&content, text + start, end - start);
	buffer_source_init(&in, text + tail, length - tail);
	base64_decoder_init(decoder, &in.source);
	report = cms_verify_detached(&decoder->source, &content.source, &options, NULL);
	if (report == NULL || report->signers->len != 1 ||
	    ((struct cms_signer_report *)g_ptr_array_index(report->signers, 0))->signature !=
		CMS_SIGNATURE_GOOD)
		return NULL;
	out = g_byte_array_new();
	g_byte_array_append(out, (const guint8 *)text + start, (guint)(end - start));
	return out;
}

static GByteArray *
clear_signed(GBytes *input, GByteArray *signature)
{
	gsize length = g_bytes_get_size(input);
	struct buffer_sink out;

	if (signature == NULL)
		return NULL;
	buffer_sink_init(&out, G_MAXINT);
	text_put(out.bytes, CLEAR_HEAD "--" BOUNDARY "\r\n");
	g_byte_array_append(out.bytes, g_bytes_get_data(input, NULL), (guint)length);
	text_put(out.bytes, "\r\n--" BOUNDARY "\r\n" SIGNATURE_HEAD);
	base64_put(&out, signature->data, signature->len);
	text_put(out.bytes, "\r\n--" BOUNDARY "--\r\n");
	g_byte_array_unref(signature);
	return out.bytes;
}

/* ---- the table ---- */

static GByteArray *
do_sign(struct reference *reference, enum reference_way way, GBytes *input)
{
	if (way == WAY_STOCK)
		return sign_stock(reference, input);
	return clear_signed(input, way == WAY_HAND ? signature_hand(reference, input)
						   : signature_ours(reference, input));
}

static GByteArray *
do_encrypt(struct reference *reference, enum reference_way way, GBytes *input, gboolean gcm)
{
	const EVP_CIPHER *cipher = gcm ? EVP_aes_256_gcm() : EVP_aes_256_cbc();

	if (way == WAY_STOCK)
		return encrypt_stock(reference, input, cipher);
	if (way == WAY_HAND)
		return encrypt_hand(reference, input, cipher);
	return encrypt_ours(reference, input,
			    gcm ? CMS_CIPHER_AES_256_GCM : CMS_CIPHER_AES_256_CBC);
}

static GByteArray *
do_both(struct reference *reference, enum reference_way way, GBytes *input)
{
	GByteArray *inner = do_sign(reference, way, input);
	g_autoptr(GBytes) bytes = inner == NULL ? NULL : g_byte_array_free_to_bytes(inner);

	return bytes == NULL ? NULL : do_encrypt(reference, way, bytes, FALSE);
}

GByteArray *
reference_do(struct reference *reference, enum reference_work work, enum reference_way way,
	     GBytes *input)
{
	switch (work) {
	case WORK_SIGN:
		return do_sign(reference, way, input);
	case WORK_ENCRYPT_CBC:
		return do_encrypt(reference, way, input, FALSE);
	case WORK_ENCRYPT_GCM:
		return do_encrypt(reference, way, input, TRUE);
	case WORK_SIGN_ENCRYPT:
		return do_both(reference, way, input);
	case WORK_DECRYPT_CBC:
	case WORK_DECRYPT_GCM:
		return way == WAY_STOCK ? decrypt_stock(reference, input)
					: decrypt_ours(reference, input);
	case WORK_VERIFY:
		return way == WAY_STOCK ? verify_stock(reference, input)
					: verify_ours(reference, input);
	}
	return NULL;
}

GBytes *
reference_input(struct reference *reference, enum reference_work work, GBytes *entity)
{
	GByteArray *made;

	switch (work) {
	case WORK_DECRYPT_CBC:
		made = do_encrypt(reference, WAY_OURS, entity, FALSE);
		break;
	case WORK_DECRYPT_GCM:
		made = do_encrypt(reference, WAY_OURS, entity, TRUE);
		break;
	case WORK_VERIFY:
		made = do_sign(reference, WAY_OURS, entity);
		break;
	case WORK_SIGN:
	case WORK_ENCRYPT_CBC:
	case WORK_ENCRYPT_GCM:
	case WORK_SIGN_ENCRYPT:
	default:
		return g_bytes_ref(entity);
	}
	return made == NULL ? NULL : g_byte_array_free_to_bytes(made);
}

gboolean
reference_check(struct reference *reference, enum reference_work work, GBytes *entity,
		const GByteArray *result)
{
	g_autoptr(GBytes) message = g_bytes_new(result->data, result->len);
	g_autoptr(GByteArray) plain = NULL;
	g_autoptr(GBytes) inner = NULL;

	switch (work) {
	case WORK_SIGN:
		plain = verify_stock(reference, message);
		break;
	case WORK_ENCRYPT_CBC:
	case WORK_ENCRYPT_GCM:
		plain = decrypt_stock(reference, message);
		break;
	case WORK_SIGN_ENCRYPT:
		plain = decrypt_stock(reference, message);
		inner = plain == NULL ? NULL : g_bytes_new(plain->data, plain->len);
		g_clear_pointer(&plain, g_byte_array_unref);
		plain = inner == NULL ? NULL : verify_stock(reference, inner);
		break;
	case WORK_DECRYPT_CBC:
	case WORK_DECRYPT_GCM:
	case WORK_VERIFY:
		plain = g_bytes_unref_to_array(g_steal_pointer(&message));
		break;
	}
	return plain != NULL && plain->len == g_bytes_get_size(entity) &&
	       memcmp(plain->data, g_bytes_get_data(entity, NULL), plain->len) == 0;
}
