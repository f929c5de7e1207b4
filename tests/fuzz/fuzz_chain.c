/*
 * fuzz_chain - a set of certificates and lists, one behind the other: judged as it is, and then as
 * if all signatures fitted, so that policies, constraints and lists are reached with broken ones.
 */
#include <stdint.h>

#include "pki/crypto/cert_rules.h"
#include "pki/crypto/chain.h"
#include "pki/crypto/chain_policy.h"
#include "pki/crypto/crl_check.h"
#include "pki/crypto/der.h"
#include "store/base/clock.h"

#define OBJECTS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_objects(const uint8_t *data, size_t size, GPtrArray *certs, GPtrArray *crls)
{
	struct der all = der_of(data, size);
	struct der_element element;

	while (certs->len + crls->len < OBJECTS_MAX && der_next(&all, &element)) {
		g_autoptr(GBytes) bytes =
		    g_bytes_new(element.start, (gsize)(element.end - element.start));
		struct cert *cert = cert_parse(bytes, NULL);
		struct crl *crl = cert == NULL ? crl_parse(bytes, NULL) : NULL;

		if (cert != NULL)
			g_ptr_array_add(certs, cert);
		if (crl != NULL)
			g_ptr_array_add(crls, crl);
	}
}

static void
judge(GPtrArray *certs, GPtrArray *crls)
{
	g_autoptr(GPtrArray) anchors = g_ptr_array_new();

	g_ptr_array_add(anchors, certs->pdata[certs->len - 1]);
	struct chain_options options = {
		.anchors = anchors,
		.untrusted = certs,
		.crls = crls,
		.at = cert_not_before(certs->pdata[0]),
		.revocation = CHAIN_REVOCATION_REQUIRED,
		.allow_legacy = TRUE,
	};
	CLEANUP(chain_report)
	struct chain_report *report = chain_check(certs->pdata[0], &options, NULL);
	if (report == NULL || (report->verdict == CHAIN_VALID) != (*report->reason == '\0'))
		g_error("a verdict without a reason, or the other way round");
	if (!g_utf8_validate(report->reason, -1, NULL))
		g_error("a reason that cannot be shown");
	if (report->work.steps > 4 * CHAIN_STEPS_MAX || report->work.paths > CHAIN_PATHS_MAX ||
	    report->work.list_steps > 2 * CRL_STEPS_MAX)
		g_error("more work than there may be");
	/* The graph of policies of a path that no signature holds together. */
	g_auto(GStrv) found = NULL;
	guint steps = 0;
	options.explicit_policy = TRUE;
	(void)chain_policies(certs, &options, &found, &steps);
}

static void
compare_names(GPtrArray *certs)
{
	guint steps = 0;

	for (guint i = 0; i < certs->len; i++) {
		const struct cert_rules *rules = cert_rules(certs->pdata[i]);

		for (guint k = 0; rules->constraints != NULL && k < certs->len; k++) {
			const GPtrArray *names = cert_names(certs->pdata[k]);
			const struct name *bad =
			    names != NULL ? names_violation(names, rules->constraints, &steps)
					  : NULL;
			if (bad != NULL && !g_utf8_validate(bad->text, -1, NULL))
				g_error("a name that cannot be shown");
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) crls = g_ptr_array_new_with_free_func((GDestroyNotify)crl_unref);

	read_objects(data, size, certs, crls);
	if (certs->len == 0)
		return 0;
	judge(certs, crls);
	compare_names(certs);
	struct crl_check check = { .crls = crls, .signers = certs, .at = 1800000000 };
	for (guint i = 0; i < certs->len; i++) {
		struct crl_finding finding = { .valid_until = CLOCK_NEVER };

		(void)crl_check_cert(&check, certs, i, &finding);
		g_free(finding.why);
	}
	return 0;
}
