/*
 * sms - a text to a telephone over the one transport of the gateway (C10): an HTTP request made
 * from a template, or a command.
 *
 * Its settings are rows of handler_setting under the name "sms", secrets sealed. The text is a
 * password: it reaches no log, no error and no argument of a process; a command reads it from its
 * standard input. Nothing that a server or a command answers is shown, since it may repeat it.
 * Threads: any.
 */
#ifndef PKI_SMS_H
#define PKI_SMS_H

#include <glib.h>

#define SMS_TEXT_MAX_BYTES 1000

struct delivery;
struct handler;
struct secret;

/* For the functions of pki/handlers/config.h; no request handler, and not among them. */
extern const struct handler handler_sms;

enum sms_result {
	SMS_SENT,
	SMS_REFUSED, /* asking again is no use */
	SMS_LATER,   /* nothing was sent */
	SMS_UNKNOWN, /* it may have been sent */
};

struct sms_outcome {
	enum sms_result result;
	char *text; /* what came of it, without a word of the other side's; g_free */
};

/* Was a transport chosen? */
gboolean sms_is_set(const struct delivery *delivery);
/* Is there a transport, as far as settings can tell? INVALID says what it lacks. */
gboolean sms_ready(const struct delivery *delivery, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* May an SMS go to this user (mailaddr_key)? INVALID: no transport, no such user, no telephone. */
gboolean sms_check(const struct delivery *delivery, const char *email,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The user's telephone; NOT_FOUND. */
char *sms_telephone(const struct delivery *delivery, const char *email,
		    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "+4912345678", normalised as the preference is; INVALID. */
char *sms_number(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* number: as sms_number gives it. */
void sms_send(const struct delivery *delivery, const char *number, const struct secret *text,
	      struct sms_outcome *outcome);

#endif
