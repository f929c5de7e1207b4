/*
 * additional_watch - choices of additional certificates, judged one by one.
 */
#include "admin/jobs/additional_watch.h"

#include "milter/gateway.h"
#include "pki/trust.h"
#include "store/base/log.h"
#include "store/certs.h"
#include "store/selections.h"

#define AHEAD_SECONDS ((gint64)30 * 86400)
#define WATCHED_MAX 1000

/* Subjects stay out of the log; the thumbprint leads to them. */
static void
watch_one(struct gateway *gateway, const struct selection_row *row)
{
	g_autofree char *scope = scope_text(row->scope);
	CLEANUP(cert_row) struct cert_row *found = certs_find(gateway->db, row->thumbprint, NULL);
	CLEANUP(cert) struct cert *cert = found != NULL ? cert_parse(found->der, NULL) : NULL;

	if (cert == NULL) {
		log_warning("an additional certificate is not in the store", "thumbprint",
			    row->thumbprint, "scope", scope);
		return;
	}
	g_autofree char *ends = clock_format(cert_not_after(cert));
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge(gateway->trust, cert, TRUST_ENCRYPT, NULL);
	if (verdict != NULL && verdict->state != VERDICT_VALID)
		log_warning("an additional certificate is not valid: encrypted mail lacks it",
			    "thumbprint", row->thumbprint, "scope", scope, "reason",
			    verdict->reason);
	else if (cert_not_after(cert) < clock_now(gateway->clock) + AHEAD_SECONDS)
		log_warning("an additional certificate ends soon: choose a newer one", "thumbprint",
			    row->thumbprint, "scope", scope, "not_after", ends);
}

void
additional_watch(struct gateway *gateway)
{
	g_autoptr(GPtrArray) rows =
	    selections_of_kind(gateway->db, SELECTION_ADDITIONAL, WATCHED_MAX, NULL);

	for (guint i = 0; rows != NULL && i < rows->len; i++)
		watch_one(gateway, g_ptr_array_index(rows, i));
}
