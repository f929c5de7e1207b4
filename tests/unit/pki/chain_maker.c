/*
 * chain_maker - see the header.
 */
#include "tests/unit/pki/chain_maker.h"

#include <openssl/conf.h>
#include <openssl/dsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

struct actor {
	char *id;
	X509 *x509;
	EVP_PKEY *key;
	struct cert *cert;
	unsigned int flags;
};

struct maker {
	GHashTable *keys;  /* label -> EVP_PKEY */
	GPtrArray *actors; /* in order */
	GPtrArray *anchors, *others, *crls;
	long serial;
};

static void
actor_free(gpointer p)
{
	struct actor *actor = p;

	X509_free(actor->x509);
	cert_unref(actor->cert);
	g_free(actor->id);
	g_free(actor);
}

struct maker *
maker_new(void)
{
	struct maker *maker = g_new0(struct maker, 1);

	maker->keys =
	    g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)EVP_PKEY_free);
	maker->actors = g_ptr_array_new_with_free_func(actor_free);
	maker->anchors = g_ptr_array_new();
	maker->others = g_ptr_array_new();
	maker->crls = g_ptr_array_new_with_free_func((GDestroyNotify)crl_unref);
	return maker;
}

void
maker_clear(struct maker *maker)
{
	g_ptr_array_set_size(maker->anchors, 0);
	g_ptr_array_set_size(maker->others, 0);
	g_ptr_array_set_size(maker->crls, 0);
	g_ptr_array_set_size(maker->actors, 0);
	maker->serial = 0;
}

void
maker_free(struct maker *maker)
{
	if (maker == NULL)
		return;
	maker_clear(maker);
	g_ptr_array_unref(maker->anchors);
	g_ptr_array_unref(maker->others);
	g_ptr_array_unref(maker->crls);
	g_ptr_array_unref(maker->actors);
	g_hash_table_unref(maker->keys);
	g_free(maker);
}

static EVP_PKEY *
dsa_key(void)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
	EVP_PKEY *parameters = NULL, *key = NULL;

	g_assert_cmpint(EVP_PKEY_paramgen_init(context), ==, 1);
	g_assert_cmpint(EVP_PKEY_CTX_set_dsa_paramgen_bits(context, 1024), ==, 1);
	g_assert_cmpint(EVP_PKEY_paramgen(context, &parameters), ==, 1);
	EVP_PKEY_CTX_free(context);
	context = EVP_PKEY_CTX_new_from_pkey(NULL, parameters, NULL);
	g_assert_cmpint(EVP_PKEY_keygen_init(context), ==, 1);
	g_assert_cmpint(EVP_PKEY_keygen(context, &key), ==, 1);
	EVP_PKEY_CTX_free(context);
	EVP_PKEY_free(parameters);
	return key;
}

static EVP_PKEY *
key_named(struct maker *maker, const char *label, gboolean dsa)
{
	EVP_PKEY *key = g_hash_table_lookup(maker->keys, label);

	if (key == NULL) {
		key = dsa ? dsa_key() : EVP_EC_gen("P-256");
		g_assert_nonnull(key);
		g_hash_table_insert(maker->keys, g_strdup(label), key);
	}
	return key;
}

static struct actor *
find_actor(struct maker *maker, const char *id)
{
	for (guint i = 0; i < maker->actors->len; i++) {
		struct actor *actor = maker->actors->pdata[i];
		if (strcmp(actor->id, id) == 0)
			return actor;
	}
	g_error("nobody is called %s", id);
}

struct cert *
maker_cert(struct maker *maker, const char *id)
{
	return find_actor(maker, id)->cert;
}

GPtrArray *
maker_anchors(struct maker *maker)
{
	return maker->anchors;
}

GPtrArray *
maker_others(struct maker *maker)
{
	return maker->others;
}

GPtrArray *
maker_crls(struct maker *maker)
{
	return maker->crls;
}

/* "CN=x,O=y"; "CN=" alone is a name without parts. A `+` in front joins the RDN before. */
static X509_NAME *
make_name(const char *text, gboolean utf8)
{
	X509_NAME *name = X509_NAME_new();
	g_auto(GStrv) parts = g_strsplit(text, ",", -1);

	for (gsize i = 0; parts[i] != NULL; i++) {
		gboolean joined = *parts[i] == '+';
		g_auto(GStrv) pair = g_strsplit(parts[i] + joined, "=", 2);
		int type = strcmp(pair[0], "emailAddress") == 0 || strcmp(pair[0], "DC") == 0
			       ? V_ASN1_IA5STRING
			   : utf8 ? V_ASN1_UTF8STRING
				  : V_ASN1_PRINTABLESTRING;

		g_assert_cmpint(X509_NAME_add_entry_by_txt(name, pair[0], type,
							   (const unsigned char *)pair[1], -1, -1,
							   joined ? -1 : 0),
				==, 1);
	}
	return name;
}

static void
set_time(ASN1_TIME *time, const char *text)
{
	int type = strlen(text) == 13 ? V_ASN1_UTCTIME : V_ASN1_GENERALIZEDTIME;

	/* As it is written, which OpenSSL's own setter would mend. */
	g_assert_cmpint(ASN1_STRING_set(time, text, -1), ==, 1);
	((ASN1_STRING *)time)->type = type;
}

static void
set_serial(ASN1_INTEGER *serial, const char *text)
{
	BIGNUM *number = NULL;
	gboolean negative = *text == '-';

	text += negative;
	if (g_str_has_prefix(text, "0x"))
		BN_hex2bn(&number, text + 2);
	else
		BN_dec2bn(&number, text);
	BN_set_negative(number, negative);
	g_assert_nonnull(BN_to_ASN1_INTEGER(number, serial));
	BN_free(number);
}

static CONF *
read_conf(const char *defaults, const char *ext)
{
	g_autofree char *text =
	    g_strconcat("default_only=\n[ext]\n", defaults, ext != NULL ? ext : "", "\n", NULL);
	BIO *bio = BIO_new_mem_buf(text, -1);
	CONF *conf = NCONF_new(NULL);
	long line = 0;

	if (NCONF_load_bio(conf, bio, &line) != 1)
		g_error("line %ld of: %s", line, text);
	BIO_free(bio);
	return conf;
}

static void
add_extensions(X509 *x509, const struct made *made, X509 *issuer)
{
	const char *defaults =
	    (made->flags & MADE_BARE) != 0 ? ""
	    : (made->flags & MADE_CA) != 0
		? "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"
		  "subjectKeyIdentifier=hash\n"
		: "keyUsage=critical,digitalSignature,keyAgreement\nsubjectKeyIdentifier=hash\n";
	gboolean named = (made->flags & MADE_BARE) == 0 && X509_get0_subject_key_id(issuer) != NULL;
	g_autofree char *lines =
	    g_strconcat(defaults, named ? "authorityKeyIdentifier=keyid\n" : "", NULL);
	CONF *conf = read_conf(lines, made->ext);
	X509V3_CTX context;

	X509V3_set_ctx(&context, issuer, x509, NULL, NULL, 0);
	X509V3_set_nconf(&context, conf);
	if (X509V3_EXT_add_nconf(conf, &context, "ext", x509) != 1) {
		ERR_print_errors_fp(stderr);
		g_error("%s: %s", made->id, made->ext);
	}
	NCONF_free(conf);
}

static void
spoil(unsigned char *der, int length)
{
	der[length - 1] ^= 1; /* the last octet of the signature */
}

static void
make_cert(struct maker *maker, const struct made *made)
{
	struct actor *actor = g_new0(struct actor, 1);
	struct actor *issuer = made->issuer != NULL ? find_actor(maker, made->issuer) : actor;
	g_autofree char *subject = made->subject != NULL
				       ? g_strdup(made->subject)
				       : g_strconcat("O=Test,CN=", made->id, NULL);
	g_autofree char *counted = g_strdup_printf("%ld", ++maker->serial);
	X509 *x509 = X509_new();
	X509_NAME *name = make_name(subject, (made->flags & MADE_UTF8) != 0);
	unsigned char *der = NULL;
	g_autoptr(GError) error = NULL;

	actor->id = g_strdup(made->id);
	actor->flags = made->flags;
	actor->key = key_named(maker, made->key != NULL ? made->key : made->id,
			       (made->flags & MADE_DSA) != 0);
	X509_set_version(x509, X509_VERSION_3);
	set_serial(X509_get_serialNumber(x509), made->serial != NULL ? made->serial : counted);
	set_time(X509_getm_notBefore(x509), made->from != NULL ? made->from : "200101000000Z");
	set_time(X509_getm_notAfter(x509), made->to != NULL ? made->to : "400101000000Z");
	X509_set_subject_name(x509, name);
	if (made->issuer_name != NULL) {
		X509_NAME *spelt = make_name(made->issuer_name, (made->flags & MADE_UTF8) != 0);
		X509_set_issuer_name(x509, spelt);
		X509_NAME_free(spelt);
	} else {
		X509_set_issuer_name(x509,
				     issuer == actor ? name : X509_get_subject_name(issuer->x509));
	}
	X509_NAME_free(name);
	X509_set_pubkey(x509, actor->key);
	add_extensions(x509, made, issuer == actor ? x509 : issuer->x509);
	g_assert_cmpint(X509_sign(x509, issuer->key, EVP_sha256()), >, 0);
	int length = i2d_X509(x509, &der);
	if ((made->flags & MADE_BAD_SIGNATURE) != 0)
		spoil(der, length);
	g_autoptr(GBytes) bytes = g_bytes_new(der, (gsize)length);
	OPENSSL_free(der);
	actor->x509 = x509;
	actor->cert = cert_parse(bytes, &error);
	g_assert_no_error(error);
	g_ptr_array_add(maker->actors, actor);
	g_ptr_array_add((made->flags & MADE_ANCHOR) != 0 ? maker->anchors : maker->others,
			actor->cert);
}

void
maker_certs(struct maker *maker, const struct made *table)
{
	for (; table->id != NULL; table++)
		make_cert(maker, table);
}

static void
add_reason(X509_REVOKED *revoked, const char *name)
{
	ASN1_ENUMERATED *value = ASN1_ENUMERATED_new();
	enum crl_reason reason = REVOCATION_UNSPECIFIED;

	g_assert_true(crl_reason_by_name(name, &reason));
	ASN1_ENUMERATED_set(value, (long)reason);
	g_assert_cmpint(X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, value, 0, 0), ==, 1);
	ASN1_ENUMERATED_free(value);
}

static void
add_unknown(X509_REVOKED *revoked)
{
	ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.99999.9.9", 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();

	ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\x00", 2);
	X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, value);
	X509_REVOKED_add_ext(revoked, extension, -1);
	X509_EXTENSION_free(extension);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(oid);
}

static void
add_issuer(X509_REVOKED *revoked, const X509_NAME *name)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *one = GENERAL_NAME_new();

	GENERAL_NAME_set0_value(one, GEN_DIRNAME, X509_NAME_dup(name));
	sk_GENERAL_NAME_push(names, one);
	g_assert_cmpint(X509_REVOKED_add1_ext_i2d(revoked, NID_certificate_issuer, names, 1, 0), ==,
			1);
	GENERAL_NAMES_free(names);
}

static void
add_entries(struct maker *maker, X509_CRL *crl, const struct made_list *list)
{
	g_auto(GStrv) all = g_strsplit(list->revoked != NULL ? list->revoked : "", " ", -1);

	for (gsize i = 0; all[i] != NULL; i++) {
		g_auto(GStrv) parts = g_strsplit(all[i], "=", 3);
		if (parts[0] == NULL)
			continue;
		X509_REVOKED *revoked = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();
		ASN1_TIME *when = ASN1_TIME_new();

		set_serial(serial, parts[0]);
		set_time(when, "261201000000Z");
		X509_REVOKED_set_serialNumber(revoked, serial);
		X509_REVOKED_set_revocationDate(revoked, when);
		if (parts[1] != NULL && *parts[1] != '\0')
			add_reason(revoked, parts[1]);
		if (parts[1] != NULL && parts[2] != NULL)
			add_issuer(revoked,
				   X509_get_subject_name(find_actor(maker, parts[2])->x509));
		if (list->unknown_entry)
			add_unknown(revoked);
		g_assert_cmpint(X509_CRL_add0_revoked(crl, revoked), ==, 1);
		ASN1_INTEGER_free(serial);
		ASN1_TIME_free(when);
	}
}

static void
add_number(X509_CRL *crl, int nid, long value)
{
	ASN1_INTEGER *number = ASN1_INTEGER_new();

	ASN1_INTEGER_set(number, value);
	g_assert_cmpint(X509_CRL_add1_ext_i2d(crl, nid, number, nid == NID_delta_crl, 0), ==, 1);
	ASN1_INTEGER_free(number);
}

static void
make_list(struct maker *maker, const struct made_list *list)
{
	struct actor *issuer = find_actor(maker, list->issuer);
	X509_CRL *crl = X509_CRL_new();
	const char *defaults =
	    (list->flags & MADE_BARE) != 0 || X509_get0_subject_key_id(issuer->x509) == NULL
		? ""
		: "authorityKeyIdentifier=keyid\n";
	CONF *conf = read_conf(defaults, list->ext);
	ASN1_TIME *from = ASN1_TIME_new(), *to = ASN1_TIME_new();
	X509V3_CTX context;
	unsigned char *der = NULL;
	g_autoptr(GError) error = NULL;

	set_time(from, list->from != NULL ? list->from : "261201000000Z");
	set_time(to, list->to != NULL ? list->to : "271201000000Z");
	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	if (list->issuer_name != NULL) {
		X509_NAME *spelt = make_name(list->issuer_name, FALSE);
		X509_CRL_set_issuer_name(crl, spelt);
		X509_NAME_free(spelt);
	} else {
		X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x509));
	}
	X509_CRL_set1_lastUpdate(crl, from);
	X509_CRL_set1_nextUpdate(crl, to);
	add_entries(maker, crl, list);
	X509V3_set_ctx(&context, issuer->x509, NULL, NULL, crl, 0);
	X509V3_set_nconf(&context, conf);
	if (X509V3_EXT_CRL_add_nconf(conf, &context, "ext", crl) != 1) {
		ERR_print_errors_fp(stderr);
		g_error("list of %s: %s", list->issuer, list->ext);
	}
	add_number(crl, NID_crl_number, list->number != 0 ? list->number : 1);
	if (list->base != 0)
		add_number(crl, NID_delta_crl, list->base);
	EVP_PKEY *key = list->key != NULL ? key_named(maker, list->key, FALSE) : issuer->key;
	g_assert_cmpint(X509_CRL_sign(crl, key, EVP_sha256()), >, 0);
	int length = i2d_X509_CRL(crl, &der);
	if ((list->flags & MADE_BAD_SIGNATURE) != 0)
		spoil(der, length);
	g_autoptr(GBytes) bytes = g_bytes_new(der, (gsize)length);
	OPENSSL_free(der);
	struct crl *parsed = crl_parse(bytes, &error);
	g_assert_no_error(error);
	g_ptr_array_add(maker->crls, parsed);
	ASN1_TIME_free(from);
	ASN1_TIME_free(to);
	NCONF_free(conf);
	X509_CRL_free(crl);
}

void
maker_lists(struct maker *maker, const struct made_list *table)
{
	for (const struct made_list *list = table; list != NULL && list->issuer != NULL; list++)
		make_list(maker, list);
	for (guint i = 0; i < maker->actors->len; i++) {
		const struct actor *actor = maker->actors->pdata[i];
		gboolean listed =
		    (actor->flags & MADE_CA) == 0 || (actor->flags & MADE_NO_LIST) != 0;

		for (const struct made_list *list = table; list != NULL && list->issuer != NULL;
		     list++)
			listed |= strcmp(list->issuer, actor->id) == 0;
		if (!listed)
			make_list(maker, &(struct made_list){ .issuer = actor->id });
	}
}
