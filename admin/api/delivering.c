/*
 * delivering - cert send (C8), and the options that other operations share with it.
 */
#include "admin/api/delivering.h"

#include <string.h>

#include "admin/api/cert_text.h"
#include "admin/api/change.h"
#include "admin/api/handlers.h"
#include "admin/mail/template.h"
#include "milter/gateway.h"
#include "pki/keyring.h"
#include "pki/trust.h"
#include "store/base/error.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/db/tx.h"
#include "store/requests.h"

struct delivery
delivering_of(const struct call *call)
{
	return (struct delivery){ call->gateway->db, call->gateway->keyring, call->gateway->clock,
				  gateway_settings(call->gateway) };
}

gboolean
delivering_options(const struct call *call, struct delivery_options *options,
		   struct secret **password, GError **error)
{
	CLEANUP(ca_defaults)
	struct ca_defaults *defaults = ca_defaults_load(call->gateway->db, error);

	*password = call_password(call, "password");
	*options = (struct delivery_options){
		.to = call_text(call, "to"),
		.password = *password,
		.sms = call_flag(call, "sms"),
		.shown_once = call_flag(call, "show-password"),
		.store_password = call_flag(call, "store-password") ||
				  (defaults != NULL && defaults->store_password),
		.compatible = call_flag(call, "compatible"),
		.allow_mismatch = call_flag(call, "allow-mismatch"),
		.language = call_text(call, "language"),
		.requester = call->actor,
	};
	if (defaults == NULL)
		return FALSE;
	if (options->language != NULL && !template_language_check(options->language, error))
		return FALSE;
	if (call->role < ROLE_KEYS && (options->allow_mismatch || options->shown_once))
		return fail_false(error, PS_ERROR_DENIED,
				  "--allow-mismatch and --show-password need the role 'keys'");
	return TRUE;
}

/* --- cert send --- */

struct sending {
	struct delivery delivery;
	struct delivery_options options;
	struct mailaddr *user;
	GPtrArray *certs; /* struct cert */
};

static gboolean
add_valid(struct call *call, const struct cert_row *row, GPtrArray *certs, GError **error)
{
	CLEANUP(cert) struct cert *cert = cert_parse(row->der, error);

	if (cert == NULL)
		return FALSE;
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge(call->gateway->trust, cert, TRUST_ANY, error);
	if (verdict == NULL)
		return FALSE;
	if (verdict->state == VERDICT_VALID && !cert_is_ca(cert))
		g_ptr_array_add(certs, cert_ref(cert));
	return TRUE;
}

/* Without certificates: the valid ones of the address whose key is held. */
static GPtrArray *
chosen_certs(struct call *call, const struct mailaddr *user, GError **error)
{
	const char *keys[] = { mailaddr_key(user) };
	g_auto(GStrv) named = call_list(call, "certs");

	if (*named != NULL)
		return cert_text_find_all(call, "certs", error);
	g_autoptr(GPtrArray) certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	g_autoptr(GPtrArray) rows = certs_by_emails(call->gateway->db, keys, 1, error);
	if (rows == NULL)
		return NULL;
	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = g_ptr_array_index(rows, i);

		if (row->has_key && !row->pending && !add_valid(call, row, certs, error))
			return NULL;
	}
	return g_steal_pointer(&certs);
}

/* Whoever may import certificates could import one with a key of somebody else and his own address:
 * only who may export keys is asked no further than what stands in the certificate. */
static gboolean
check_owner(struct call *call, const struct sending *sending, const struct cert *cert,
	    GError **error)
{
	const char *user = mailaddr_key(sending->user);
	gboolean is_his = FALSE;

	if (call->role >= ROLE_KEYS)
		return TRUE;
	g_autoptr(GPtrArray) requests =
	    requests_of_key(call->gateway->db, cert_spki_sha256(cert), error);
	if (requests == NULL)
		return FALSE;
	for (guint i = 0; i < requests->len; i++) {
		const struct request_row *request = requests->pdata[i];

		is_his |= request->state == REQUEST_ISSUED &&
			  g_strcmp0(request->thumbprint, cert_thumbprint(cert)) == 0 &&
			  strcmp(request->email, user) == 0;
	}
	return is_his || fail_false(error, PS_ERROR_DENIED,
				    "the certificate '%s' was not requested here for %s: to send "
				    "its key needs the role 'keys'",
				    cert_subject(cert), user);
}

/* Each key goes to an address of its certificate, or to where who may export keys wants it. */
static gboolean
check_addresses(struct call *call, const struct sending *sending, const struct mailaddr *to,
		GError **error)
{
	guint keys = 0;

	for (guint i = 0; i < sending->certs->len; i++) {
		const struct cert *cert = g_ptr_array_index(sending->certs, i);
		gboolean held = FALSE;

		if (cert_is_ca(cert))
			continue;
		if (!keyring_holds(call->gateway->keyring, cert_spki_sha256(cert), &held, error))
			return FALSE;
		if (held && !check_owner(call, sending, cert, error))
			return FALSE;
		keys += held;
		if (held && !cert_has_email(cert, to) && !sending->options.allow_mismatch)
			return fail_false(error, PS_ERROR_INVALID,
					  "%s is no address of the certificate '%s': say "
					  "--allow-mismatch (role keys) to send its key there",
					  mailaddr_key(to), cert_subject(cert));
	}
	if (keys == 0)
		return fail_false(error, PS_ERROR_NOT_FOUND,
				  "no private key is held for %s: there is nothing to send; "
				  "certificates alone are written by cert export",
				  mailaddr_key(sending->user));
	return TRUE;
}

static json_t *
send_certs(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct sending *sending = data;
	g_autoptr(GPtrArray) thumbprints = g_ptr_array_new();
	gint64 id;

	for (guint i = 0; i < sending->certs->len; i++)
		g_ptr_array_add(thumbprints, (gpointer)cert_thumbprint(sending->certs->pdata[i]));
	g_ptr_array_add(thumbprints, NULL);
	if (!delivery_prepare_certs(&sending->delivery, tx, mailaddr_key(sending->user),
				    (const char *const *)thumbprints->pdata, &sending->options, &id,
				    error))
		return NULL;
	change->object = g_strdup(mailaddr_key(sending->user));
	change->detail = g_strdup_printf(
	    "delivery %" G_GINT64_FORMAT " of %u certificates to %s%s", id, sending->certs->len,
	    sending->options.to != NULL ? sending->options.to : mailaddr_text(sending->user),
	    sending->options.compatible ? ", weakly encrypted" : "");
	json_t *answer = json_object();
	json_object_set_new(answer, "delivery", json_integer(id));
	json_object_set_new(answer, "to",
			    answer_text(sending->options.to != NULL
					    ? sending->options.to
					    : mailaddr_text(sending->user)));
	json_object_set_new(answer, "certificates", json_integer(sending->certs->len));
	if (sending->options.shown_once)
		json_object_set_new(answer, "password",
				    json_sprintf("shown once by: postseal outbox password "
						 "%" G_GINT64_FORMAT,
						 id));
	return answer;
}

json_t *
cert_send(struct call *call, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *user = call_address(call, "address", error);
	CLEANUP(mailaddr) struct mailaddr *to = NULL;
	CLEANUP(secret) struct secret *password = NULL;
	struct sending sending = { .delivery = delivering_of(call), .user = user };
	g_autoptr(GPtrArray) certs = NULL;

	if (user == NULL || !delivering_options(call, &sending.options, &password, error))
		return NULL;
	to = mailaddr_parse(sending.options.to != NULL ? sending.options.to : mailaddr_text(user),
			    error);
	if (to == NULL)
		return NULL;
	/* The password goes to the one, the keys to the other. */
	if (call->role < ROLE_KEYS && !mailaddr_equal(to, user))
		return fail(error, PS_ERROR_DENIED,
			    "--to another address than the user's needs the role 'keys'");
	certs = chosen_certs(call, user, error);
	if (certs == NULL)
		return NULL;
	sending.certs = certs;
	if (!check_addresses(call, &sending, to, error))
		return NULL;
	/* Which address it is has been looked at more closely than delivery_check can. */
	struct delivery_options checked = sending.options;
	checked.allow_mismatch = TRUE;
	if (!delivery_check(&sending.delivery, mailaddr_key(user), &checked, error))
		return NULL;
	return change_run(call, send_certs, &sending, error);
}
