/*
 * chain - OpenSSL finds and checks the path; usages, strength and revocation are ours.
 *
 * OpenSSL is told to go on after each fault, so that the report knows all of them and the
 * order of judgement is decided here and not by the order of OpenSSL's checks.
 */
#include "pki/crypto/chain.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <string.h>

#include "pki/crypto/crl_check.h"
#include "pki/crypto/internal.h"
#include "store/base/clock.h"

/* One run of OpenSSL's path building. */
struct build {
	struct cert *cert;
	const struct chain_options *options;
	GPtrArray *anchors;   /* struct cert; those that matter */
	GPtrArray *untrusted; /* likewise */
	GHashTable *by_x509;  /* X509 -> struct cert */
	struct chain_report *report;
};

static void
set_fault(struct chain_report *report, enum chain_fault fault, char *sentence)
{
	if (report->faults[fault] == NULL)
		report->faults[fault] = sentence;
	else
		g_free(sentence);
}

static struct chain_report *
report_new(void)
{
	struct chain_report *report = g_new0(struct chain_report, 1);

	report->verdict = CHAIN_INVALID;
	report->path = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	report->policies = g_new0(char *, 1);
	report->valid_until = CLOCK_NEVER;
	return report;
}

void
chain_report_free(struct chain_report *report)
{
	if (report == NULL)
		return;
	g_free(report->reason);
	for (int i = 0; i < CHAIN_FAULTS; i++)
		g_free(report->faults[i]);
	g_ptr_array_unref(report->path);
	g_strfreev(report->policies);
	g_free(report);
}

const char *
chain_verdict_name(enum chain_verdict verdict)
{
	switch (verdict) {
	case CHAIN_VALID:
		return "valid";
	case CHAIN_REVOKED:
		return "revoked";
	case CHAIN_INVALID:
		return "invalid";
	}
	return "invalid";
}

static const char *
where_text(const struct build *build)
{
	return build->options->where != NULL ? build->options->where : "in the store";
}

static char *
no_issuer_text(const struct build *build, const struct cert *cert)
{
	return g_strdup_printf("issuer '%s' is not %s", cert_issuer(cert), where_text(build));
}

static char *
date_text(const struct cert *cert, gint64 at)
{
	gboolean early = at < cert_not_before(cert);
	g_autofree char *when = clock_format(early ? cert_not_before(cert) : cert_not_after(cert));

	return early ? g_strdup_printf("'%s' is not valid before %s", cert_subject(cert), when)
		     : g_strdup_printf("'%s' expired on %s", cert_subject(cert), when);
}

/* A fault of OpenSSL's as one of ours: its class and its sentence (K2). */
static void
record_fault(struct build *build, int code, int depth, const struct cert *cert)
{
	struct chain_report *report = build->report;
	const char *subject = cert_subject(cert);
	enum chain_fault fault = CHAIN_FAULT_PATH;
	char *text = NULL;

	switch (code) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
		text = no_issuer_text(build, cert);
		break;
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		if (report->faults[CHAIN_FAULT_PATH] == NULL)
			text = no_issuer_text(build, cert);
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		text = g_strdup_printf("root '%s' is not %s", subject,
				       build->options->where != NULL ? build->options->where
								     : "in the root store");
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		fault = depth == 0 ? CHAIN_FAULT_EXPIRED : CHAIN_FAULT_PATH;
		text = date_text(cert, build->options->at);
		break;
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
		text = g_strdup_printf("signature of '%s' does not fit its issuer '%s'", subject,
				       cert_issuer(cert));
		break;
	case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		text = g_strdup_printf("the public key of '%s' cannot be read", subject);
		break;
	case X509_V_ERR_INVALID_CA:
	case X509_V_ERR_INVALID_NON_CA:
		text = g_strdup_printf("'%s' issued a certificate but is not a CA", subject);
		break;
	case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
		text = g_strdup_printf("key usage of issuer '%s' lacks keyCertSign", subject);
		break;
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		text = g_strdup_printf("the path is longer than '%s' allows", subject);
		break;
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
	case X509_V_ERR_SUBTREE_MINMAX:
	case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
	case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
	case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
		text = g_strdup_printf("a name of '%s' breaks the name constraints of its issuers",
				       subject);
		break;
	case X509_V_ERR_NO_EXPLICIT_POLICY:
	case X509_V_ERR_INVALID_POLICY_EXTENSION:
		text = g_strdup_printf("the path of '%s' has no acceptable policy",
				       cert_subject(build->cert));
		break;
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
		text = g_strdup_printf("the path of '%s' is longer than %d certificates",
				       cert_subject(build->cert), CHAIN_DEPTH_MAX);
		break;
	case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
		fault = depth == 0 ? CHAIN_FAULT_OTHER : CHAIN_FAULT_PATH;
		text = g_strdup_printf("'%s' has a critical extension that is not known", subject);
		break;
	case X509_V_ERR_INVALID_EXTENSION:
		fault = depth == 0 ? CHAIN_FAULT_OTHER : CHAIN_FAULT_PATH;
		text = g_strdup_printf("'%s' has an extension that is broken", subject);
		break;
	default:
		text = g_strdup_printf("'%s': %s", subject, X509_verify_cert_error_string(code));
	}
	if (text != NULL)
		set_fault(report, fault, text);
}

/* Always goes on: see above. */
static int
on_fault(int ok, X509_STORE_CTX *context)
{
	struct build *build = X509_STORE_CTX_get_app_data(context);

	if (ok == 1)
		return 1;
	X509 *x509 = X509_STORE_CTX_get_current_cert(context);
	const struct cert *cert = x509 != NULL ? g_hash_table_lookup(build->by_x509, x509) : NULL;
	int code = X509_STORE_CTX_get_error(context);
	/* Checked when its key was completed; a later OpenSSL would encode the copy anew. */
	if (code == X509_V_ERR_CERT_SIGNATURE_FAILURE && cert != NULL && cert_has_inherited(cert))
		return 1;
	record_fault(build, code, X509_STORE_CTX_get_error_depth(context),
		     cert != NULL ? cert : build->cert);
	return 1;
}

/* Splits the candidates into those that are anchors and the others. */
static void
split_candidates(struct build *build, GPtrArray *candidates)
{
	const struct chain_options *options = build->options;

	build->anchors = g_ptr_array_new();
	build->untrusted = g_ptr_array_new();
	build->by_x509 = g_hash_table_new(NULL, NULL);
	for (guint i = 0; i < candidates->len; i++) {
		struct cert *candidate = candidates->pdata[i];

		g_ptr_array_add(cert_is_among(candidate, options->anchors) ? build->anchors
									   : build->untrusted,
				candidate);
		g_hash_table_insert(build->by_x509, cert_x509(candidate), candidate);
	}
	if (cert_is_among(build->cert, options->anchors) &&
	    !cert_is_among(build->cert, build->anchors))
		g_ptr_array_add(build->anchors, build->cert);
	g_hash_table_insert(build->by_x509, cert_x509(build->cert), build->cert);
}

static gboolean
set_parameters(X509_VERIFY_PARAM *parameters, const struct chain_options *options, GError **error)
{
	unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_POLICY_CHECK;

	flags |= options->explicit_policy ? X509_V_FLAG_EXPLICIT_POLICY : 0;
	flags |= options->inhibit_policy_mapping ? X509_V_FLAG_INHIBIT_MAP : 0;
	flags |= options->inhibit_any_policy ? X509_V_FLAG_INHIBIT_ANY : 0;
	X509_VERIFY_PARAM_set_flags(parameters, flags);
	X509_VERIFY_PARAM_set_time(parameters, (time_t)options->at);
	X509_VERIFY_PARAM_set_depth(parameters, CHAIN_DEPTH_MAX);
	X509_VERIFY_PARAM_set_auth_level(parameters, 0); /* chain_strength_fault decides */
	static const char *const any[] = { "2.5.29.32.0", NULL };
	const char *const *policies =
	    options->policies != NULL && options->policies[0] != NULL ? options->policies : any;
	for (gsize i = 0; policies[i] != NULL; i++) {
		ASN1_OBJECT *policy = i < CHAIN_POLICIES_MAX ? OBJ_txt2obj(policies[i], 1) : NULL;

		if (policy == NULL)
			return fail_openssl_false(error, PS_ERROR_INVALID,
						  "policy '%s' is not an OID", policies[i]);
		X509_VERIFY_PARAM_add0_policy(parameters, policy);
	}
	return TRUE;
}

static int
compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static GStrv
user_policies(X509_STORE_CTX *context)
{
	const X509_POLICY_TREE *tree = X509_STORE_CTX_get0_policy_tree(context);
	const STACK_OF(X509_POLICY_NODE) *nodes =
	    tree != NULL ? X509_policy_tree_get0_user_policies(tree) : NULL;
	GPtrArray *texts = g_ptr_array_new();

	for (int i = 0; i < sk_X509_POLICY_NODE_num(nodes); i++) {
		const X509_POLICY_NODE *node = sk_X509_POLICY_NODE_value(nodes, i);
		g_ptr_array_add(texts, object_dotted(X509_policy_node_get0_policy(node)));
	}
	g_ptr_array_sort(texts, compare_texts);
	g_ptr_array_add(texts, NULL);
	return (GStrv)g_ptr_array_free(texts, FALSE);
}

static void
take_path(struct build *build, X509_STORE_CTX *context)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);

	for (int i = 0; i < sk_X509_num(chain); i++) {
		struct cert *cert = g_hash_table_lookup(build->by_x509, sk_X509_value(chain, i));

		if (cert != NULL)
			g_ptr_array_add(build->report->path, cert_ref(cert));
	}
	if (build->report->path->len == 0)
		g_ptr_array_add(build->report->path, cert_ref(build->cert));
}

static gboolean
run_openssl(struct build *build, GError **error)
{
	g_autoptr(X509_STORE) store = X509_STORE_new();
	g_autoptr(X509_STORE_CTX) context = X509_STORE_CTX_new();
	STACK_OF(X509) *untrusted = sk_X509_new_null();
	gboolean good = store != NULL && context != NULL && untrusted != NULL;

	for (guint i = 0; good && i < build->anchors->len; i++)
		good = X509_STORE_add_cert(store, cert_x509(build->anchors->pdata[i])) == 1;
	for (guint i = 0; good && i < build->untrusted->len; i++)
		good = sk_X509_push(untrusted, cert_x509(build->untrusted->pdata[i])) > 0;
	good = good && X509_STORE_CTX_init(context, store, cert_x509(build->cert), untrusted) == 1;
	if (!good)
		fail_openssl_false(error, PS_ERROR_TEMPORARY, "cannot begin path validation");
	good = good && set_parameters(X509_STORE_CTX_get0_param(context), build->options, error);
	if (good) {
		X509_STORE_CTX_set_app_data(context, build);
		X509_STORE_CTX_set_verify_cb(context, on_fault);
		int rc = X509_verify_cert(context);
		take_path(build, context);
		if (rc == 1)
			build->report->policies =
			    (g_strfreev(build->report->policies), user_policies(context));
		else
			record_fault(build, X509_STORE_CTX_get_error(context), 0, build->cert);
	}
	sk_X509_free(untrusted);
	ERR_clear_error();
	return good;
}

/* What OpenSSL leaves open: issuers without basicConstraints, and their extended usages. */
static void
check_issuers(struct build *build)
{
	GPtrArray *path = build->report->path;

	for (guint i = 1; i + 1 < path->len; i++) {
		const struct cert *issuer = path->pdata[i];

		if (!cert_is_ca(issuer))
			record_fault(build, X509_V_ERR_INVALID_CA, (int)i, issuer);
		if (build->options->purpose != CHAIN_PURPOSE_ANY && !cert_has_email_purpose(issuer))
			set_fault(build->report, CHAIN_FAULT_PATH,
				  g_strdup_printf("extended key usage of issuer '%s' lacks "
						  "emailProtection",
						  cert_subject(issuer)));
	}
}

static void
check_strength(struct build *build)
{
	GPtrArray *path = build->report->path;
	gboolean legacy = build->options->allow_legacy;

	for (guint i = 0; i < path->len; i++) {
		gboolean anchor = cert_is_among(path->pdata[i], build->options->anchors);
		char *fault = anchor ? chain_key_fault(path->pdata[i], legacy)
				     : chain_strength_fault(path->pdata[i], legacy);

		if (fault != NULL)
			set_fault(build->report, CHAIN_FAULT_ALGORITHM, fault);
	}
}

static void
check_usage(struct build *build)
{
	const struct chain_options *options = build->options;
	char *fault = chain_usage_fault(build->cert, options->purpose);

	if (fault == NULL && options->email != NULL && !cert_has_email(build->cert, options->email))
		fault = g_strdup_printf("'%s' is not an address of '%s'",
					mailaddr_key(options->email), cert_subject(build->cert));
	if (fault != NULL)
		set_fault(build->report, CHAIN_FAULT_USAGE, fault);
}

/* The path of a CRL's signer to the anchor of the path that is being judged. */
static GPtrArray *
signer_path(struct cert *signer, const struct cert *anchor, gpointer data)
{
	const struct build *outer = data;
	g_autoptr(GPtrArray) anchors = g_ptr_array_new();
	struct chain_options options = {
		.anchors = anchors,
		.at = outer->options->at,
		.allow_legacy = outer->options->allow_legacy,
	};
	GPtrArray *pools[] = { outer->options->untrusted, anchors };

	g_ptr_array_add(anchors, (gpointer)anchor);
	g_autoptr(GPtrArray) candidates = chain_candidates(signer, pools, G_N_ELEMENTS(pools));
	CLEANUP(chain_report) struct chain_report *report = report_new();
	struct build build = { .cert = signer, .options = &options, .report = report };
	split_candidates(&build, candidates);
	gboolean good = run_openssl(&build, NULL);
	check_issuers(&build);
	g_ptr_array_unref(build.anchors);
	g_ptr_array_unref(build.untrusted);
	g_hash_table_unref(build.by_x509);
	if (!good || report->faults[CHAIN_FAULT_PATH] != NULL ||
	    report->faults[CHAIN_FAULT_EXPIRED] != NULL ||
	    report->faults[CHAIN_FAULT_OTHER] != NULL)
		return NULL;
	return g_ptr_array_ref(report->path);
}

static char *
revoked_text(const struct cert *cert, const struct crl_finding *finding)
{
	g_autofree char *when = clock_format(finding->revoked_at);

	return g_strdup_printf("'%s' was revoked on %s (%s)", cert_subject(cert), when,
			       crl_reason_name(finding->reason));
}

/* Certificates that may sign lists: all that are named as the issuer of one. */
static GPtrArray *
list_signers(const struct build *build)
{
	GPtrArray *pools[] = { build->options->untrusted, build->options->anchors };
	g_autoptr(GHashTable) issuers = g_hash_table_new(g_str_hash, g_str_equal);
	GPtrArray *signers = g_ptr_array_new();

	for (guint i = 0; build->options->crls != NULL && i < build->options->crls->len; i++)
		g_hash_table_add(issuers, (gpointer)crl_issuer_key(build->options->crls->pdata[i]));
	for (gsize k = 0; k < G_N_ELEMENTS(pools); k++)
		for (guint i = 0; pools[k] != NULL && i < pools[k]->len; i++)
			if (g_hash_table_contains(issuers, cert_subject_key(pools[k]->pdata[i])))
				g_ptr_array_add(signers, pools[k]->pdata[i]);
	return signers;
}

static gboolean
is_required(const struct chain_options *options, const struct cert *issuer)
{
	return options->revocation == CHAIN_REVOCATION_REQUIRED ||
	       (options->strict_issuers != NULL &&
		g_hash_table_contains(options->strict_issuers, cert_thumbprint(issuer)));
}

/*
 * Without a path to an anchor nothing can be found good; but a list signed by the very issuer
 * that signed the certificate says revoked all the same (T3).
 */
static void
check_revocation(struct build *build)
{
	const struct chain_options *options = build->options;
	struct chain_report *report = build->report;
	gboolean complete = report->faults[CHAIN_FAULT_PATH] == NULL;
	g_autoptr(GPtrArray) none = g_ptr_array_new();

	if (options->revocation == CHAIN_REVOCATION_OFF)
		return;
	g_autoptr(GPtrArray) signers = list_signers(build);
	struct crl_check check = {
		.crls = options->crls != NULL ? options->crls : none,
		.signers = complete ? signers : NULL,
		.at = options->at,
		.signer_path = signer_path,
		.data = build,
	};
	for (guint i = 0; i + 1 < report->path->len; i++) {
		struct crl_finding finding = { .valid_until = CLOCK_NEVER };
		gboolean required = is_required(options, report->path->pdata[i + 1]);

		check.grace = required ? 0 : options->crl_grace;
		switch (crl_check_cert(&check, report->path, i, &finding)) {
		case CRL_ANSWER_REVOKED:
			set_fault(report, CHAIN_FAULT_REVOKED,
				  revoked_text(report->path->pdata[i], &finding));
			break;
		case CRL_ANSWER_UNKNOWN:
			report->unchecked = TRUE;
			if (required && complete)
				set_fault(report, CHAIN_FAULT_REVOCATION,
					  g_steal_pointer(&finding.why));
			break;
		case CRL_ANSWER_GOOD:
			report->valid_until = MIN(report->valid_until, finding.valid_until);
			break;
		}
		g_free(finding.why);
	}
}

/* The moments at which a date of the path passes. */
static void
set_valid_until(struct build *build)
{
	struct chain_report *report = build->report;
	gint64 at = build->options->at;

	for (guint i = 0; i < report->path->len; i++) {
		const struct cert *cert = report->path->pdata[i];

		if (cert_not_before(cert) > at)
			report->valid_until = MIN(report->valid_until, cert_not_before(cert));
		else if (cert_not_after(cert) >= at)
			report->valid_until = MIN(report->valid_until, cert_not_after(cert));
	}
}

static void
conclude(struct chain_report *report)
{
	for (int i = 0; i < CHAIN_FAULTS; i++)
		if (report->faults[i] != NULL) {
			report->verdict = i == CHAIN_FAULT_REVOKED ? CHAIN_REVOKED : CHAIN_INVALID;
			report->reason = g_strdup(report->faults[i]);
			g_strfreev(report->policies);
			report->policies = g_new0(char *, 1);
			return;
		}
	report->verdict = CHAIN_VALID;
	report->reason = g_strdup("");
}

struct chain_report *
chain_check(struct cert *subject, const struct chain_options *options, GError **error)
{
	GPtrArray *pools[] = { options->untrusted, options->anchors };
	g_autoptr(GPtrArray) candidates = chain_candidates(subject, pools, G_N_ELEMENTS(pools));
	g_autoptr(GPtrArray) all = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	CLEANUP(chain_report) struct chain_report *report = report_new();

	g_ptr_array_add(all, cert_ref(subject));
	for (guint i = 0; i < candidates->len; i++)
		g_ptr_array_add(all, cert_ref(candidates->pdata[i]));
	certs_inherit_parameters(all, options->anchors);
	CLEANUP(cert) struct cert *cert = g_ptr_array_steal_index(all, 0);
	struct build build = { .cert = cert, .options = options, .report = report };
	split_candidates(&build, all);
	gboolean good = run_openssl(&build, error);
	if (good) {
		check_issuers(&build);
		check_strength(&build);
		check_usage(&build);
		check_revocation(&build);
		set_valid_until(&build);
		conclude(report);
	}
	g_ptr_array_unref(build.anchors);
	g_ptr_array_unref(build.untrusted);
	g_hash_table_unref(build.by_x509);
	return good ? g_steal_pointer(&report) : NULL;
}
