/*
 * delivery - what is asked for, checked before anything is made, and its row in the outbox.
 */
#include "pki/delivery.h"

#include <string.h>

#include "pki/keyring.h"
#include "pki/sms.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/base/secret.h"
#include "store/cas.h"
#include "store/config/settings.h"
#include "store/db/tx.h"

static gboolean
check_sender(const struct delivery *delivery, GError **error)
{
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(delivery->db, error);

	if (defaults == NULL)
		return FALSE;
	CLEANUP(mailaddr) struct mailaddr *sender = mailaddr_parse(defaults->mail_from, NULL);
	if (sender == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "nothing can be sent: the sender's address is not set; set it "
				  "with: postseal ca config mail_from ADDRESS");
	if (delivery->settings != NULL && *delivery->settings->reinject_address == '\0')
		return fail_false(error, PS_ERROR_INVALID,
				  "nothing can be sent: the setting reinject_address, the mail "
				  "server's listener, is not set");
	return TRUE;
}

static gboolean
check_recipient(const struct mailaddr *user, const struct delivery_options *options, GError **error)
{
	if (options->to == NULL)
		return TRUE;
	CLEANUP(mailaddr) struct mailaddr *to = mailaddr_parse(options->to, error);
	if (to == NULL)
		return FALSE;
	if (!mailaddr_equal(to, user) && !options->allow_mismatch)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s is not the address of the certificate, %s: say "
				  "--allow-mismatch to send it there all the same",
				  mailaddr_key(to), mailaddr_key(user));
	return TRUE;
}

gboolean
delivery_check(const struct delivery *delivery, const char *email,
	       const struct delivery_options *options, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *user = mailaddr_parse(email, error);

	if (user == NULL || !check_sender(delivery, error) ||
	    !check_recipient(user, options, error))
		return FALSE;
	if (options->password != NULL &&
	    !delivery_password_check(options->password, mailaddr_key(user), error))
		return FALSE;
	if (options->password == NULL && !options->sms && !options->shown_once &&
	    !options->store_password)
		return fail_false(error, PS_ERROR_INVALID,
				  "nobody would learn the password: give one, or say --sms, "
				  "--show-password or --store-password");
	return !options->sms || sms_check(delivery, mailaddr_key(user), error);
}

/* --- rows --- */

static gboolean
seal_password(const struct delivery *delivery, struct tx *tx, gint64 id, struct secret *password,
	      GError **error)
{
	g_autofree char *row = g_strdup_printf("%" G_GINT64_FORMAT "/password", id);
	gint64 generation;
	g_autoptr(GBytes) sealed =
	    keyring_seal(delivery->keyring, "outbox_secret", row, password, &generation, error);

	return sealed != NULL && outbox_put_secret(tx, id, "password", sealed, generation, error);
}

static struct secret *
password_of(const struct delivery *delivery, const struct delivery_options *options, GError **error)
{
	if (options->password != NULL)
		return secret_ref(options->password);
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(delivery->db, error);
	if (defaults == NULL)
		return NULL;
	return delivery_password_make((gsize)defaults->password_bytes, error);
}

static gboolean
insert(const struct delivery *delivery, struct tx *tx, const char *email,
       const struct delivery_options *options, enum outbox_state state, gint64 *id, GError **error)
{
	CLEANUP(mailaddr) struct mailaddr *user = mailaddr_parse(email, error);
	CLEANUP(secret)
	struct secret *password = user != NULL ? password_of(delivery, options, error) : NULL;

	if (password == NULL)
		return FALSE;
	struct outbox_row row = {
		.kind = OUTBOX_BUNDLE,
		.state = state,
		.email = (char *)mailaddr_key(user),
		.recipient = (char *)(options->to != NULL ? options->to : mailaddr_text(user)),
		.language = (char *)options->language,
		.compatible = options->compatible,
		.store_password = options->store_password,
		.shown_once = options->shown_once,
		.generated = options->password == NULL,
		.built = CLOCK_NEVER,
		.next_try = state == OUTBOX_READY ? tx_now(tx) : CLOCK_NEVER,
		.sms = options->sms ? OUTBOX_SMS_WAITING : OUTBOX_SMS_NONE,
		.requester = (char *)options->requester,
	};
	return outbox_insert(tx, &row, id, error) &&
	       seal_password(delivery, tx, *id, password, error);
}

gboolean
delivery_prepare(const struct delivery *delivery, struct tx *tx, gint64 request_id,
		 const char *email, const struct delivery_options *options, GError **error)
{
	gint64 id;

	return insert(delivery, tx, email, options, OUTBOX_WAITING, &id, error) &&
	       outbox_add_part(tx, id, request_id, NULL, error);
}

gboolean
delivery_join(struct tx *tx, gint64 request_id, gint64 further_request_id, GError **error)
{
	return outbox_add_half(tx, request_id, further_request_id, error);
}

gboolean
delivery_prepare_certs(const struct delivery *delivery, struct tx *tx, const char *email,
		       const char *const *thumbprints, const struct delivery_options *options,
		       gint64 *id, GError **error)
{
	if (!insert(delivery, tx, email, options, OUTBOX_READY, id, error))
		return FALSE;
	for (; *thumbprints != NULL; thumbprints++)
		if (!outbox_add_part(tx, *id, 0, *thumbprints, error))
			return FALSE;
	return TRUE;
}

struct secret *
delivery_password(const struct delivery *delivery, gint64 id, GError **error)
{
	g_autofree char *row = g_strdup_printf("%" G_GINT64_FORMAT "/password", id);
	g_autoptr(GBytes) sealed = outbox_secret(delivery->db, id, "password", error);

	if (sealed == NULL)
		return NULL;
	return keyring_unseal(delivery->keyring, "outbox_secret", row, sealed, error);
}
