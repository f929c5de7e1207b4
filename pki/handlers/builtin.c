/*
 * builtin - the gateway's own CA as a request handler: it answers in the same call, inside the
 * transaction of the request, so that a certificate is never issued twice for one.
 */
#include "pki/ca_crl.h"
#include "pki/crypto/cert.h"
#include "pki/handlers/handler.h"
#include "store/base/error.h"
#include "store/cas.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/requests.h"

static char *
builtin_lacks(const struct handler_context *context, GError **error)
{
	g_autoptr(GPtrArray) cas = cas_list(context->db, error);

	if (cas == NULL)
		return NULL;
	for (guint i = 0; i < cas->len; i++) {
		const struct ca_row *ca = g_ptr_array_index(cas, i);
		if (ca->thumbprint != NULL)
			return NULL;
	}
	return g_strdup(cas->len == 0 ? "there is no CA yet: postseal ca create"
				      : "the CA waits for its certificate from the external root");
}

static struct ca_context
ca_context_of(const struct handler_context *context)
{
	return (struct ca_context){ .db = context->db,
				    .keyring = context->keyring,
				    .clock = context->clock,
				    .public_url = context->settings != NULL
						      ? context->settings->public_url
						      : NULL };
}

static struct ca_subject
subject_of(const struct request_row *request)
{
	return (struct ca_subject){ .email = request->email,
				    .common_name = request->common_name,
				    .organisation = request->organisation,
				    .first_name = request->first_name,
				    .last_name = request->last_name,
				    .dns_names = (const char *const *)request->names };
}

static struct ca_issue
issue_of(const struct request_row *request, GPtrArray *warnings)
{
	return (struct ca_issue){ .ca = request->ca,
				  .digest = request->digest,
				  .days = request->validity_days,
				  .crl_url = request->crl_url,
				  .profile = request->profile,
				  .key_use = request->key_use,
				  .warnings = warnings };
}

static gboolean
builtin_vet(const struct handler_context *context, struct tx *tx, const struct request_row *request,
	    GError **error)
{
	struct ca_subject subject = subject_of(request);
	struct ca_issue options = issue_of(request, NULL);
	struct ca_context ca = ca_context_of(context);

	return ca_vet(&ca, request->key, &subject, &options, tx, error);
}

static gboolean
builtin_submit(const struct handler_context *context, struct tx *tx,
	       const struct request_row *request, struct handler_answer *answer, GError **error)
{
	struct ca_subject subject = subject_of(request);
	g_autoptr(GPtrArray) warnings = g_ptr_array_new_with_free_func(g_free);
	struct ca_issue options = issue_of(request, warnings);
	struct ca_context ca = ca_context_of(context);
	struct cert *cert = ca_issue(&ca, request->csr, &subject, &options, request->id, tx, error);
	if (cert == NULL)
		return FALSE;
	answer->status = HANDLER_ISSUED;
	g_ptr_array_add(warnings, NULL);
	if (warnings->len > 1)
		answer->text = g_strjoinv("; ", (GStrv)warnings->pdata);
	answer->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_ptr_array_add(answer->certs, cert);
	return TRUE;
}

static gboolean
builtin_poll(const struct handler_context *context G_GNUC_UNUSED,
	     const struct request_row *request G_GNUC_UNUSED,
	     struct handler_answer *answer G_GNUC_UNUSED, GError **error)
{
	return fail_false(error, PS_ERROR_BUG, "the built-in CA answers at once");
}

static gboolean
builtin_revoke(const struct handler_context *context, struct tx *tx,
	       const struct handler_revocation *revocation, struct handler_answer *answer,
	       GError **error)
{
	struct ca_context ca = ca_context_of(context);

	const struct ca_crl crl = { 0 };

	answer->status = HANDLER_ISSUED;
	if (!ca_revoke(&ca, revocation->issuer_thumbprint, revocation->serial, revocation->reason,
		       FALSE, tx, error))
		return FALSE;
	/* Nobody else hears of it before the list is made. */
	g_autoptr(GBytes) der = ca_make_crl(&ca, revocation->issuer_thumbprint, &crl, tx, error);
	return der != NULL;
}

static GPtrArray *
builtin_chain(const struct handler_context *context, GError **error)
{
	CLEANUP(ca_row) struct ca_row *ca = cas_find(context->db, NULL, error);

	return ca != NULL ? ca_chain(context->db, ca, error) : NULL;
}

const struct handler handler_builtin = {
	.name = "builtin",
	.sentence = "the gateway's own CA; answers at once",
	.capabilities = { .synchronous = TRUE,
			  .revokes = TRUE,
			  .uses_crl_url = TRUE,
			  .knows_chain = TRUE,
			  .tls_names = TRUE },
	.lacks = builtin_lacks,
	.vet = builtin_vet,
	.submit = builtin_submit,
	.poll = builtin_poll,
	.revoke = builtin_revoke,
	.chain = builtin_chain,
};
