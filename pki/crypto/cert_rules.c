/*
 * cert_rules - reading the extensions that bind a path, and remembering signatures.
 */
#include "pki/crypto/cert_rules.h"

#include <openssl/err.h>
#include <string.h>

#include "pki/crypto/internal.h"

#define SIGNERS_MAX 8

struct kept_names {
	GPtrArray *names; /* NULL: unreadable */
};

/* One key that was tried; prepended to a list that only grows. */
struct signer {
	struct signer *next;
	gboolean good;
	char spki[64]; /* hex SHA-256, without a NUL */
};

static void
mapping_free(gpointer p)
{
	struct policy_mapping *mapping = p;

	g_free(mapping->issuer_policy);
	g_free(mapping->subject_policy);
	g_free(mapping);
}

void
cert_rules_free(gpointer p)
{
	struct cert_rules *rules = p;

	g_free(rules->broken);
	g_free(rules->unknown_critical);
	g_clear_pointer(&rules->policies, g_ptr_array_unref);
	g_ptr_array_unref(rules->mappings);
	name_constraints_free(rules->constraints);
	g_free(rules);
}

/* Those that are processed here, in chain_strength.c or in crl_check.c. */
static gboolean
is_processed(int nid)
{
	static const int known[] = {
		NID_key_usage,
		NID_ext_key_usage,
		NID_subject_alt_name,
		NID_basic_constraints,
		NID_name_constraints,
		NID_certificate_policies,
		NID_policy_mappings,
		NID_policy_constraints,
		NID_inhibit_any_policy,
		NID_crl_distribution_points,
		NID_authority_key_identifier,
		NID_subject_key_identifier,
		NID_id_pkix_OCSP_noCheck,
	};

	for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
		if (known[i] == nid)
			return TRUE;
	return FALSE;
}

static void
set_broken(struct cert_rules *rules, int nid)
{
	if (rules->broken == NULL)
		rules->broken = object_dotted(OBJ_nid2obj(nid));
}

static void
read_criticals(struct cert_rules *rules, const struct cert *cert)
{
	const X509_EXTENSIONS *all = cert_extensions(cert);
	int count = X509v3_get_ext_count(all);

	for (int i = 0; i < count; i++) {
		const X509_EXTENSION *extension = X509v3_get_ext(all, i);
		const ASN1_OBJECT *object = X509_EXTENSION_get_object((X509_EXTENSION *)extension);

		if (rules->broken == NULL && X509v3_get_ext_by_OBJ(all, object, i) >= 0)
			rules->broken = object_dotted(object);
		if (rules->unknown_critical == NULL &&
		    X509_EXTENSION_get_critical(extension) != 0 &&
		    !is_processed(OBJ_obj2nid(object)))
			rules->unknown_critical = object_dotted(object);
	}
}

static gboolean
has_text(const GPtrArray *texts, const char *text)
{
	for (guint i = 0; i < texts->len; i++)
		if (strcmp(texts->pdata[i], text) == 0)
			return TRUE;
	return FALSE;
}

static void
read_policies(struct cert_rules *rules, const struct cert *cert)
{
	int critical = -1;
	CERTIFICATEPOLICIES *all = cert_extension(cert, NID_certificate_policies, &critical);

	if (critical == -1)
		return;
	rules->policies = g_ptr_array_new_with_free_func(g_free);
	if (all == NULL || sk_POLICYINFO_num(all) > CERT_POLICIES_MAX)
		set_broken(rules, NID_certificate_policies);
	for (int i = 0; i < MIN(sk_POLICYINFO_num(all), CERT_POLICIES_MAX); i++) {
		const POLICYINFO *policy = sk_POLICYINFO_value(all, i);

		if (OBJ_obj2nid(policy->policyid) == NID_any_policy) {
			rules->any_policy = TRUE;
			continue;
		}
		g_autofree char *oid = object_dotted(policy->policyid);
		/* RFC 5280 4.2.1.4: not more than once. */
		if (has_text(rules->policies, oid))
			set_broken(rules, NID_certificate_policies);
		else
			g_ptr_array_add(rules->policies, g_steal_pointer(&oid));
	}
	CERTIFICATEPOLICIES_free(all);
}

static void
read_mappings(struct cert_rules *rules, const struct cert *cert)
{
	int critical = -1;
	POLICY_MAPPINGS *all = cert_extension(cert, NID_policy_mappings, &critical);

	rules->mappings = g_ptr_array_new_with_free_func(mapping_free);
	if (critical == -1)
		return;
	if (all == NULL || sk_POLICY_MAPPING_num(all) > CERT_POLICIES_MAX)
		set_broken(rules, NID_policy_mappings);
	for (int i = 0; i < MIN(sk_POLICY_MAPPING_num(all), CERT_POLICIES_MAX); i++) {
		const POLICY_MAPPING *raw = sk_POLICY_MAPPING_value(all, i);
		struct policy_mapping *mapping = g_new0(struct policy_mapping, 1);

		rules->maps_any |= OBJ_obj2nid(raw->issuerDomainPolicy) == NID_any_policy ||
				   OBJ_obj2nid(raw->subjectDomainPolicy) == NID_any_policy;
		mapping->issuer_policy = object_dotted(raw->issuerDomainPolicy);
		mapping->subject_policy = object_dotted(raw->subjectDomainPolicy);
		g_ptr_array_add(rules->mappings, mapping);
	}
	sk_POLICY_MAPPING_pop_free(all, POLICY_MAPPING_free);
}

/* A count of certificates; what is larger than any path is as good as absent. */
static int
skip_count(struct cert_rules *rules, const ASN1_INTEGER *number, int nid)
{
	gint64 value = 0;

	if (number == NULL)
		return -1;
	if (ASN1_STRING_type(number) == V_ASN1_NEG_INTEGER) {
		set_broken(rules, nid);
		return 0;
	}
	if (ASN1_INTEGER_get_int64(&value, number) != 1)
		return G_MAXINT;
	return (int)MIN(value, G_MAXINT);
}

static void
read_policy_limits(struct cert_rules *rules, const struct cert *cert)
{
	int critical = -1;
	POLICY_CONSTRAINTS *limits = cert_extension(cert, NID_policy_constraints, &critical);

	rules->require_explicit = rules->inhibit_mapping = rules->inhibit_any = -1;
	if (limits == NULL && critical != -1)
		set_broken(rules, NID_policy_constraints);
	if (limits != NULL) {
		rules->require_explicit =
		    skip_count(rules, limits->requireExplicitPolicy, NID_policy_constraints);
		rules->inhibit_mapping =
		    skip_count(rules, limits->inhibitPolicyMapping, NID_policy_constraints);
		POLICY_CONSTRAINTS_free(limits);
	}
	critical = -1;
	ASN1_INTEGER *any = cert_extension(cert, NID_inhibit_any_policy, &critical);
	if (any == NULL && critical != -1)
		set_broken(rules, NID_inhibit_any_policy);
	rules->inhibit_any = skip_count(rules, any, NID_inhibit_any_policy);
	ASN1_INTEGER_free(any);
}

static gpointer
rules_new(const struct cert *cert)
{
	struct cert_rules *rules = g_new0(struct cert_rules, 1);
	gboolean broken = FALSE;

	read_criticals(rules, cert);
	rules->has_basic_constraints = cert_has_basic_constraints(cert);
	read_policies(rules, cert);
	read_mappings(rules, cert);
	read_policy_limits(rules, cert);
	rules->constraints = name_constraints_of(cert, &broken);
	if (broken || (rules->constraints != NULL && rules->constraints->bounded))
		set_broken(rules, NID_name_constraints);
	if (rules->broken == NULL && cert_is_broken(cert))
		rules->broken = g_strdup("unreadable");
	ERR_clear_error();
	return rules;
}

const struct cert_rules *
cert_rules(const struct cert *cert)
{
	return cert_slot(cert, CERT_SLOT_RULES, rules_new, cert_rules_free);
}

void
cert_names_free(gpointer p)
{
	struct kept_names *kept = p;

	g_clear_pointer(&kept->names, g_ptr_array_unref);
	g_free(kept);
}

static gpointer
kept_names_new(const struct cert *cert)
{
	struct kept_names *kept = g_new0(struct kept_names, 1);

	kept->names = names_of(cert);
	return kept;
}

const GPtrArray *
cert_names(const struct cert *cert)
{
	const struct kept_names *kept =
	    cert_slot(cert, CERT_SLOT_NAMES, kept_names_new, cert_names_free);

	return kept->names;
}

void
cert_signers_free(gpointer p)
{
	struct signer *signer = p;

	while (signer != NULL) {
		struct signer *next = signer->next;

		g_free(signer);
		signer = next;
	}
}

/* What one check takes, in checks with RSA 2048. */
static guint
effort_of(const struct cert *issuer)
{
	guint bits = cert_key_bits(issuer), size = MAX(1, bits / 2048);

	return cert_key_kind(issuer) == KEY_KIND_RSA || cert_key_kind(issuer) == KEY_KIND_RSA_PSS
		   ? size * size
		   : MAX(4, bits / 64);
}

gboolean
cert_is_signed_by(const struct cert *cert, const struct cert *issuer, guint *effort)
{
	const char *spki = cert_spki_sha256(issuer);
	gpointer *place = cert_slot_place(cert, CERT_SLOT_SIGNERS);
	struct signer *known = g_atomic_pointer_get(place);
	EVP_PKEY *pkey = cert_pkey(issuer);
	guint count = 0;

	if (pkey == NULL || strcmp(cert_issuer_key(cert), cert_subject_key(issuer)) != 0)
		return FALSE;
	/* A key with parameters of another's is not told by its bytes alone. */
	gboolean keep = !cert_has_inherited(issuer) && strlen(spki) == sizeof(known->spki);
	for (const struct signer *one = known; keep && one != NULL; one = one->next, count++)
		if (memcmp(one->spki, spki, sizeof(one->spki)) == 0)
			return one->good;
	*effort += effort_of(issuer);
	gboolean good = cert_verify(cert, pkey);

	/* Keys that do not fit may be many: one of the places stays for the one that does. */
	if (!keep || count >= SIGNERS_MAX || (!good && count >= SIGNERS_MAX - 1))
		return good;
	struct signer *one = g_new(struct signer, 1);
	one->good = good;
	memcpy(one->spki, spki, sizeof(one->spki));
	one->next = known;
	if (!g_atomic_pointer_compare_and_exchange(place, known, one))
		g_free(one); /* another thread was faster; the next call will find or add it */
	return good;
}
