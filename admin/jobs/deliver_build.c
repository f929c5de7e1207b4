/* deliver_build - see deliver_build.h. */
#include "admin/jobs/deliver_build.h"

#include <string.h>

#include "admin/mail/mailer.h"
#include "admin/mail/template.h"
#include "milter/gateway.h"
#include "pki/delivery.h"
#include "pki/keyring.h"
#include "pki/sms.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/secret.h"
#include "store/config/settings.h"
#include "store/db/tx.h"
#include "store/outbox_work.h"
#include "store/preferences.h"
#include "store/scopes.h"

#define PASSWORD_MARK "\x01"

static struct delivery
delivery_of(struct gateway *gateway)
{
	return (struct delivery){ gateway->db, gateway->keyring, gateway->clock,
				  gateway_settings(gateway) };
}

static char *
message_row(const struct outbox_row *row)
{
	return g_strdup_printf("%" G_GINT64_FORMAT "/message", row->id);
}

/* --- made before --- */

static struct secret *
kept_message(struct gateway *gateway, const struct outbox_row *row, GError **error)
{
	g_autofree char *name = message_row(row);
	g_autoptr(GBytes) sealed = outbox_secret(gateway->db, row->id, "message", error);

	return sealed != NULL
		   ? keyring_unseal(gateway->keyring, "outbox_secret", name, sealed, error)
		   : NULL;
}

/* --- made now --- */

struct saving {
	struct gateway *gateway;
	struct outbox_row *row;
	GBytes *sealed;
	gint64 generation;
	struct secret *password; /* for the preference; NULL: not wanted */
};

static gboolean
save_built(struct tx *tx, gpointer data, GError **error)
{
	const struct saving *saving = data;
	struct outbox_row *row = saving->row;

	if (!outbox_save_held(tx, row, error) ||
	    !outbox_put_secret(tx, row->id, "message", saving->sealed, saving->generation, error))
		return FALSE;
	if (saving->password == NULL)
		return TRUE;
	CLEANUP(scope) struct scope *scope = scope_new(SCOPE_USER, row->email);
	return keyring_set_preference(saving->gateway->keyring, tx, scope,
				      preference_name(PREF_LAST_PFX_PASSWORD), saving->password,
				      error);
}

static struct secret *
save_message(struct gateway *gateway, struct outbox_row *row, GBytes *bytes, GError **error)
{
	struct delivery delivery = delivery_of(gateway);
	struct saving saving = { .gateway = gateway, .row = row };
	g_autofree char *name = message_row(row);
	gsize length;
	const void *data = g_bytes_get_data(bytes, &length);
	CLEANUP(secret) struct secret *message = secret_new(data, length);
	CLEANUP(secret) struct secret *password = NULL;

	if (row->store_password) {
		password = delivery_password(&delivery, row->id, error);
		if (password == NULL)
			return NULL;
	}
	saving.password = password;
	saving.sealed = keyring_seal(gateway->keyring, "outbox_secret", name, message,
				     &saving.generation, error);
	gboolean good =
	    saving.sealed != NULL && db_transaction(gateway->db, save_built, &saving, error);
	if (saving.sealed != NULL)
		g_bytes_unref(saving.sealed);
	return good ? secret_ref(message) : NULL;
}

/* "alice@corp.example.p12", without what a file system would stumble over. */
static char *
file_name(const char *email)
{
	char *name = g_strconcat(email, ".p12", NULL);

	for (char *c = name; *c != '\0'; c++)
		if (strchr("/\\:*?\"<>|", *c) != NULL || (guchar)*c < 0x20)
			*c = '_';
	return name;
}

static char *
date_of(gint64 seconds)
{
	g_autofree char *whole = clock_format(seconds);

	return g_strndup(whole, strcspn(whole, "T"));
}

static gboolean
compose_bundle(struct gateway *gateway, struct outbox_row *row, const char *sender, GBytes *bundle,
	       const struct delivery_content *content, struct mail_composed *composed,
	       GError **error)
{
	g_autofree char *file = file_name(row->email);
	g_autofree char *expires = date_of(content->not_after);
	g_autofree char *keys = g_strdup_printf("%u", content->keys);
	const struct template_value values[] = {
		{ "name", content->name },
		{ "email", row->email },
		{ "file", file },
		{ "sender", sender },
		{ "keys", keys },
		{ "expires", expires },
		{ "by_sms", row->sms != OUTBOX_SMS_NONE ? "yes" : "" },
		{ "by_hand", row->sms == OUTBOX_SMS_NONE ? "yes" : "" },
		{ "weak", row->compatible ? "yes" : "" },
		{ "root", content->root },
		{ "host", g_get_host_name() },
		{ NULL, NULL },
	};
	const struct mail_attachment attachment = { file, "application/x-pkcs12", bundle };
	struct template_texts texts = { 0 };

	if (!template_fill_all(gateway->db, "bundle", row->language,
			       gateway_settings(gateway)->delivery_language, values, &texts, error))
		return FALSE;
	struct mail mail = {
		.from = sender,
		.to = row->recipient,
		.subject = texts.subject != NULL ? texts.subject : file,
		.text = texts.text,
		.html = texts.html,
		.attachments = &attachment,
		.attachment_count = 1,
		.message_id = row->message_id,
	};
	gboolean good =
	    mail_compose(&mail, g_get_host_name(), clock_now(gateway->clock), composed, error);
	g_free(row->subject);
	row->subject = g_strdup(mail.subject);
	template_texts_clear(&texts);
	return good;
}

static struct secret *
make_message(struct gateway *gateway, struct outbox_row *row, const char *sender, GError **error)
{
	struct delivery delivery = delivery_of(gateway);
	struct delivery_content content = { 0 };
	struct mail_composed composed = { 0 };
	g_autoptr(GBytes) bundle = delivery_bundle(&delivery, row, &content, error);
	struct secret *message = NULL;

	if (bundle != NULL &&
	    compose_bundle(gateway, row, sender, bundle, &content, &composed, error)) {
		g_free(row->message_id);
		row->message_id = g_strdup(composed.message_id);
		row->utf8 = composed.utf8;
		row->built = clock_now(gateway->clock);
		message = save_message(gateway, row, composed.bytes, error);
		if (message == NULL)
			row->built = CLOCK_NEVER;
	}
	delivery_content_clear(&content);
	mail_composed_clear(&composed);
	return message;
}

struct secret *
deliver_message(struct gateway *gateway, struct outbox_row *row, const char *sender, GError **error)
{
	if (row->built != CLOCK_NEVER || row->kind == OUTBOX_MAIL)
		return kept_message(gateway, row, error);
	return make_message(gateway, row, sender, error);
}

/* --- the SMS --- */

/* The password is put in last, so that it lies in no memory but this. */
static struct secret *
put_password(const char *text, const struct secret *password, GError **error)
{
	char out[SMS_TEXT_MAX_BYTES + 1];
	struct secret *whole = NULL;
	gsize used = 0;

	for (const char *c = text; *c != '\0'; c++) {
		const char *piece = *c == *PASSWORD_MARK ? secret_text(password) : c;
		gsize length = *c == *PASSWORD_MARK ? secret_length(password) : 1;

		if (used + length > SMS_TEXT_MAX_BYTES) {
			wipe(out, sizeof(out));
			return fail(error, PS_ERROR_INVALID, "the template of the SMS is too long");
		}
		memcpy(out + used, piece, length);
		used += length;
	}
	out[used] = '\0';
	whole = secret_new_text(out);
	wipe(out, sizeof(out));
	return whole;
}

struct secret *
deliver_sms_text(struct gateway *gateway, const struct outbox_row *row, GError **error)
{
	struct delivery delivery = delivery_of(gateway);
	g_autofree char *sender = mailer_sender(gateway->db, NULL);
	const struct template_value values[] = {
		{ "password", PASSWORD_MARK }, { "email", row->email }, { "sender", sender },
		{ "host", g_get_host_name() }, { NULL, NULL },
	};
	struct template_texts texts = { 0 };
	CLEANUP(secret) struct secret *password = delivery_password(&delivery, row->id, error);
	struct secret *text = NULL;

	if (password != NULL &&
	    template_fill_all(gateway->db, "sms", row->language,
			      gateway_settings(gateway)->delivery_language, values, &texts, error))
		text = put_password(texts.text, password, error);
	template_texts_clear(&texts);
	return text;
}
