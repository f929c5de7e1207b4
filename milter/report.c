/*
 * report - the line, the row and the counters of one message.
 */
#include "milter/report.h"

#include <string.h>
#include <unistd.h>

#include "milter/copies.h"
#include "milter/envelope.h"
#include "milter/gateway.h"
#include "milter/message/headers.h"
#include "milter/policy/describe.h"
#include "milter/policy/inbound_summary.h"
#include "milter/policy/ruling.h"
#include "milter/session.h"
#include "milter/status.h"
#include "pki/crypto/cert.h"
#include "pki/keyring.h"
#include "store/audit.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/base/secret.h"
#include "store/config/settings.h"

#define HASH_KEY_BYTES 32
#define HASH_CHARS 16
#define LOGGED_RECIPIENTS_MAX 10

struct report {
	struct gateway *gateway;
	struct status *status;
	struct audit_writer *writer;
	struct secret *hash_key;
	char *node;
};

/* ---- addresses as log_addresses says -------------------------------------------------------- */

/* Derived, so that every filter of a site gives an address the same hash, and nobody who has only
 * the log can find out by trying. */
static struct secret *
make_hash_key(struct gateway *gateway)
{
	g_autoptr(GError) error = NULL;
	struct secret *key = NULL;

	if (gateway->keyring != NULL)
		key = keyring_derive(gateway->keyring, "log-addresses", HASH_KEY_BYTES, &error);
	if (key == NULL)
		key = secret_new_random(HASH_KEY_BYTES, NULL);
	return key;
}

static char *
hashed(const struct report *report, const char *address)
{
	g_autofree char *folded = g_ascii_strdown(address, -1);
	char *hash;

	if (report->hash_key == NULL)
		return g_strdup("?");
	hash = g_compute_hmac_for_string(G_CHECKSUM_SHA256, secret_bytes(report->hash_key),
					 secret_length(report->hash_key), folded, -1);
	hash[HASH_CHARS] = '\0';
	return hash;
}

/* Owned by the caller. */
static char *
shown(const struct report *report, const char *mode, const char *address)
{
	const char *at;

	if (*address == '\0')
		return g_strdup("<>");
	if (strcmp(mode, "hash") == 0)
		return hashed(report, address);
	if (strcmp(mode, "domain") == 0) {
		at = strrchr(address, '@');
		return at != NULL ? g_strconcat("*", at, NULL) : g_strdup("*");
	}
	return g_strdup(address);
}

static GStrv
shown_recipients(const struct report *report, const char *mode, const struct envelope *envelope)
{
	GStrv all = g_new0(char *, envelope->recipients->len + 1);

	for (guint i = 0; i < envelope->recipients->len; i++) {
		const struct envelope_recipient *recipient = envelope->recipients->pdata[i];
		all[i] = shown(report, mode, recipient->address);
	}
	return all;
}

/* ---- pieces of the line --------------------------------------------------------------------- */

static char *
message_id_of(const struct session_message *message)
{
	const char *raw = headers_value(message->headers, "Message-ID");

	return raw != NULL ? g_strstrip(g_strdup(raw)) : NULL;
}

static const char *
origin_name(const struct ruling *ruling)
{
	if (ruling == NULL)
		return NULL;
	switch (ruling->gathered->facts.origin) {
	case ORIGIN_TRUSTED:
		return "trusted";
	case ORIGIN_REINJECTED:
		return "reinjected";
	case ORIGIN_UNTRUSTED:
		break;
	}
	return "untrusted";
}

/* "192.0.2.1 login=bob daemon=SUBMISSION" */
static char *
client_of(const struct envelope *envelope)
{
	GString *text =
	    g_string_new(envelope->client_address != NULL ? envelope->client_address : "unknown");

	if (envelope->login != NULL)
		log_append_pair(text, "login", envelope->login);
	if (envelope->daemon_name != NULL)
		log_append_pair(text, "daemon", envelope->daemon_name);
	return g_string_free(text, FALSE);
}

/* The recipient that speaks for the message: the first that refused or deferred, else the first. */
static guint
decisive_index(const struct ruling *ruling)
{
	return ruling->groups->decisive->len > 0 ? g_array_index(ruling->groups->decisive, guint, 0)
						 : 0;
}

static const struct plan *
decisive_plan(const struct ruling *ruling)
{
	return ruling != NULL && ruling->count > 0 ? &ruling->plans[decisive_index(ruling)] : NULL;
}

/* Why it could not be signed or encrypted: the sentence that `explain` and `cert show` have. It
 * names addresses, so not where they are kept out of the log. */
static const char *
certificate_note(const struct ruling *ruling, const struct plan *plan, const char *mode)
{
	const struct gathered_recipient *recipient;
	const struct gathered *found;

	if (plan == NULL || strcmp(mode, "full") != 0)
		return NULL;
	found = ruling->gathered;
	if (!plan->sign && plan->sign_need != NEED_NO && plan->row == plan->sign_row &&
	    found->signer_asked && found->signer_note != NULL)
		return found->signer_note;
	if (plan->encrypt || plan->encrypt_need == NEED_NO)
		return NULL;
	recipient = g_ptr_array_index(found->recipients, decisive_index(ruling));
	return recipient->asked ? recipient->note : NULL;
}

static char *
join_recipients(GStrv recipients)
{
	GString *text = g_string_new(NULL);
	guint i;

	for (i = 0; recipients[i] != NULL && i < LOGGED_RECIPIENTS_MAX; i++)
		g_string_append_printf(text, "%s%s", i > 0 ? "," : "", recipients[i]);
	if (recipients[i] != NULL)
		g_string_append(text, ",...");
	return g_string_free(text, FALSE);
}

/* What observe would have done, or why nothing was signed: the row of the decision. */
static const char *
signature_row(const struct plan *plan)
{
	if (plan == NULL || plan->sign || plan->sign_row == plan->row)
		return NULL;
	return decide_row_text(plan->sign_row);
}

/* The certificate that signed, and how many were encrypted to, of all copies. */
static const struct cert *
copies_certificates(const GPtrArray *copies, guint *recipients)
{
	const struct cert *signer = NULL;

	*recipients = 0;
	for (guint i = 0; copies != NULL && i < copies->len; i++) {
		const struct copy *copy = g_ptr_array_index(copies, i);

		if (!copy->made)
			continue;
		if (copy->group->plan.sign)
			signer = copy->group->signer;
		if (copy->group->plan.encrypt)
			*recipients += copy->group->certificates->len;
	}
	return signer;
}

/* Of the recipient who decided; without one who was read for, of the first who was. */
static void
summarise(const struct ruling *ruling, struct inbound_summary *summary)
{
	guint chosen;

	*summary = (struct inbound_summary){ 0 };
	if (ruling == NULL || ruling->count == 0)
		return;
	chosen = decisive_index(ruling);
	for (guint i = 0; i < ruling->count; i++) {
		const struct gathered_recipient *recipient =
		    g_ptr_array_index(ruling->gathered->recipients, i);

		if (ruling->plans[i].reason != ruling->groups->reason ||
		    recipient->facts.inbound == INBOUND_NOTHING)
			continue;
		chosen = i;
		break;
	}
	inbound_summarise(ruling->gathered, chosen, summary);
}

static void
write_line(const struct report *report, const struct report_entry *entry, const char *mode,
	   GStrv recipients, gint64 duration_us)
{
	const struct envelope *envelope = entry->message->envelope;
	const struct ruling *ruling = entry->ruling;
	const struct plan *plan = decisive_plan(ruling);
	const char *note = certificate_note(ruling, plan, mode);
	g_autofree char *message_id = message_id_of(entry->message);
	g_autofree char *sender = shown(report, mode, envelope->sender);
	g_autofree char *to = join_recipients(recipients);
	g_autofree char *client = client_of(envelope);
	g_autofree char *author = NULL;
	char count[16], size_in[24], size_out[24], ms[24], certificates[16], copies[16];
	char injected[16], skipped[16], refused[16];
	guint encrypted_to;
	const struct cert *signer = copies_certificates(entry->copies, &encrypted_to);
	struct inbound_summary found;

	summarise(ruling, &found);
	if (note == NULL && strcmp(mode, "full") == 0)
		note = found.why;
	if (ruling != NULL && ruling->gathered->author != NULL)
		author = shown(report, mode, mailaddr_key(ruling->gathered->author));
	g_snprintf(count, sizeof count, "%u", envelope->recipients->len);
	g_snprintf(size_in, sizeof size_in, "%" G_GUINT64_FORMAT, entry->size_in);
	g_snprintf(size_out, sizeof size_out, "%" G_GUINT64_FORMAT, entry->size_out);
	g_snprintf(ms, sizeof ms, "%.1f", (gdouble)duration_us / 1000.0);
	g_snprintf(certificates, sizeof certificates, "%u", encrypted_to);
	g_snprintf(copies, sizeof copies, "%u", entry->copies != NULL ? entry->copies->len : 0);
	g_snprintf(injected, sizeof injected, "%u", entry->injected);
	g_snprintf(skipped, sizeof skipped, "%u", entry->skipped);
	g_snprintf(refused, sizeof refused, "%u", entry->refused);
	log_event(
	    LOG_LEVEL_INFO, "message", "outcome", reason_name(entry->reason), "queue_id",
	    *envelope->queue_id != '\0' ? envelope->queue_id : "-", "message_id",
	    message_id != NULL ? message_id : "-", "sender", sender, "recipients", to, "count",
	    count, "client", client, "origin",
	    origin_name(ruling) != NULL ? origin_name(ruling) : "-", "author",
	    author != NULL ? author : "-", "signer", signer != NULL ? cert_thumbprint(signer) : "-",
	    "certificates", certificates, "copies", copies, "injected", injected, "queued",
	    entry->queue_ids != NULL ? entry->queue_ids : "-", "skipped", skipped, "refused",
	    refused, "size", size_in, "size_out", size_out, "ms", ms, "reply",
	    entry->reply != NULL ? entry->reply : "accepted", "observed",
	    ruling != NULL && ruling->observed ? "yes" : "no", "verdict",
	    found.state != NULL ? found.verdict : "-", "layers",
	    found.layers != NULL && *found.layers != '\0' ? found.layers : "-", "decrypted",
	    found.state != NULL ? found.decrypted : "-", "integrity",
	    found.state != NULL ? found.integrity : "-", "row",
	    plan != NULL ? decide_row_text(plan->row) : "-", "signature",
	    signature_row(plan) != NULL ? signature_row(plan) : "-", "why",
	    note != NULL ? note : "-", "detail", entry->detail != NULL ? entry->detail : "-", NULL);
	inbound_summary_clear(&found);
}

/* Which copies were injected: the mail server's names of them. */
static void
describe_queued(const char *queue_ids, GString *out)
{
	g_auto(GStrv) names = g_strsplit(queue_ids, " ", -1);

	describe_member(out, "queued");
	g_string_append_c(out, '[');
	for (guint i = 0; names[i] != NULL; i++) {
		if (i > 0)
			g_string_append(out, ", ");
		describe_text(out, names[i]);
	}
	g_string_append_c(out, ']');
}

/* What trace shows and explain would say; with the ruling it names addresses in full. */
static char *
row_detail(const struct report_entry *entry, const char *mode)
{
	gboolean is_full = entry->ruling != NULL && strcmp(mode, "full") == 0;
	GString *text;

	if (!is_full && entry->queue_ids == NULL)
		return NULL;
	text = g_string_new(NULL);
	if (is_full)
		ruling_describe(entry->ruling, text);
	else
		g_string_append(text, "{}");
	if (entry->queue_ids != NULL) {
		g_string_truncate(text, text->len - 1); /* its closing brace comes last */
		describe_queued(entry->queue_ids, text);
		g_string_append_c(text, '}');
	}
	return g_string_free(text, FALSE);
}

/* ---- the row -------------------------------------------------------------------------------- */

static void
write_row(const struct report *report, const struct report_entry *entry, const char *mode,
	  GStrv recipients, gint64 duration_us)
{
	const struct envelope *envelope = entry->message->envelope;
	const struct ruling *ruling = entry->ruling;
	struct audit_message *row = g_new0(struct audit_message, 1);
	g_autofree char *message_id = message_id_of(entry->message);
	guint count = envelope->recipients->len;

	row->at = clock_now(report->gateway->clock);
	row->node = g_strdup(report->node);
	row->queue_id = g_strdup(envelope->queue_id);
	row->message_id = message_id != NULL ? printable(message_id) : NULL;
	row->sender = shown(report, mode, envelope->sender);
	if (ruling != NULL && ruling->gathered->author != NULL)
		row->author = shown(report, mode, mailaddr_key(ruling->gathered->author));
	row->client = client_of(envelope);
	row->origin = g_strdup(origin_name(ruling) != NULL ? origin_name(ruling) : "untrusted");
	row->reason = g_strdup(reason_name(entry->reason));
	row->reply = g_strdup(entry->reply);
	row->recipients = g_strdupv(recipients);
	row->outcomes = g_new0(char *, count + 1);
	for (guint i = 0; i < count; i++) {
		gboolean decided = ruling != NULL && i < ruling->count && entry->detail == NULL;

		row->outcomes[i] =
		    g_strdup(reason_name(decided ? ruling->plans[i].reason : entry->reason));
	}
	row->detail = row_detail(entry, mode);
	row->size = (gint64)entry->size_in;
	row->duration_us = duration_us;
	audit_writer_put(report->writer, row);
}

void
report_message(struct report *report, const struct report_entry *entry)
{
	const struct settings *settings = gateway_settings(report->gateway);
	gint64 duration_us = clock_monotonic_us() - entry->message->started_us;
	g_auto(GStrv) recipients =
	    shown_recipients(report, settings->log_addresses, entry->message->envelope);

	if (log_enabled(LOG_LEVEL_INFO))
		write_line(report, entry, settings->log_addresses, recipients, duration_us);
	if (report->writer != NULL)
		write_row(report, entry, settings->log_addresses, recipients, duration_us);
	status_message(report->status, entry->reason, duration_us, entry->size_in,
		       entry->reply == NULL ? entry->size_out : 0);
}

struct report *
report_new(struct gateway *gateway, struct status *status, struct audit_writer *writer)
{
	struct report *report = g_new0(struct report, 1);
	char name[256] = "localhost";

	(void)gethostname(name, sizeof name - 1);
	report->gateway = gateway;
	report->status = status;
	report->writer = writer;
	report->hash_key = make_hash_key(gateway);
	report->node = g_strdup(name);
	return report;
}

const char *
report_host(const struct report *report)
{
	const char *name = gateway_settings(report->gateway)->authserv_id;

	return *name != '\0' ? name : report->node;
}

void
report_free(struct report *report)
{
	if (report == NULL)
		return;
	secret_unref(report->hash_key);
	g_free(report->node);
	g_free(report);
}
