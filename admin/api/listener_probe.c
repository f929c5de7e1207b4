/* listener_probe - see listener_probe.h. */
#include "admin/api/listener_probe.h"

#include "pki/net/smtp.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define PROBE_US (10 * G_USEC_PER_SEC)

static const struct {
	guint bit;
	const char *name;
} extensions[] = {
	{ SMTP_PIPELINING, "PIPELINING" }, { SMTP_SIZE, "SIZE" }, { SMTP_8BITMIME, "8BITMIME" },
	{ SMTP_UTF8, "SMTPUTF8" },         { SMTP_DSN, "DSN" },
};

static char *
extensions_text(guint have)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new();

	for (gsize i = 0; i < G_N_ELEMENTS(extensions); i++) {
		if ((have & extensions[i].bit) != 0)
			g_ptr_array_add(names, (gpointer)extensions[i].name);
	}
	g_ptr_array_add(names, NULL);
	return g_strjoinv(" ", (char **)names->pdata);
}

static gboolean
would_take(struct smtp *smtp, const char *sender, const char *recipient, GError **error)
{
	g_autofree char *from = g_strdup_printf("<%s>", sender);
	g_autofree char *to = g_strdup_printf("<%s>", recipient);
	const struct smtp_recipient one = { .address = to };
	const struct smtp_envelope envelope = { .sender = from, .recipients = &one, .count = 1 };
	struct smtp_reply mail = { 0 }, rcpt = { 0 };
	gboolean worked = smtp_begin(smtp, &envelope, &mail, &rcpt, error);
	const struct smtp_reply *bad = mail.code / 100 != 2   ? &mail
				       : rcpt.code / 100 != 2 ? &rcpt
							      : NULL;

	if (worked && bad != NULL) {
		g_autofree char *said = smtp_reply_text(bad);

		worked = fail_false(error, PS_ERROR_DENIED, "it does not take a copy: %s", said);
	}
	smtp_reply_clear(&mail);
	smtp_reply_clear(&rcpt);
	return worked && smtp_reset(smtp, error);
}

char *
listener_probe(const char *address, const char *sender, const char *recipient, GError **error)
{
	const struct smtp_options options = { .address = address,
					      .name = "localhost",
					      .deadline_us = clock_monotonic_us() + PROBE_US };
	CLEANUP(smtp) struct smtp *smtp = smtp_open(&options, error);

	if (smtp == NULL)
		return NULL;
	if (recipient != NULL && !would_take(smtp, sender, recipient, error))
		return NULL;
	return extensions_text(smtp_extensions(smtp));
}
