/*
 * chain_report - made, filled in, freed.
 */
#include "pki/crypto/chain_report.h"

#include "pki/crypto/cert.h"
#include "store/base/clock.h"

struct chain_report *
chain_report_new(void)
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
	g_free(report->revocation);
	g_free(report->unchecked_why);
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

void
chain_report_set_fault(struct chain_report *report, enum chain_fault fault, char *sentence,
		       const char *remedy)
{
	if (report->faults[fault] != NULL) {
		g_free(sentence);
		return;
	}
	report->faults[fault] = sentence;
	report->remedies[fault] = remedy;
}

void
chain_report_set_path(struct chain_report *report, GPtrArray *path)
{
	g_ptr_array_set_size(report->path, 0);
	for (guint i = 0; i < path->len; i++)
		g_ptr_array_add(report->path, cert_ref(path->pdata[i]));
}

char *
chain_fault_sentence(const struct chain_report *report, enum chain_fault fault)
{
	const char *remedy = report->remedies[fault];

	return remedy != NULL && *remedy != '\0'
		   ? g_strdup_printf("%s; %s", report->faults[fault], remedy)
		   : g_strdup(report->faults[fault]);
}
