/*
 * sms - a text to a telephone over the one transport of the gateway (C10): an HTTP request made
 * from a template, or a command.
 *
 * The text is a password: it reaches no log, no error, no argument of a process. Threads: any.
 */
#ifndef PKI_SMS_H
#define PKI_SMS_H

#include <glib.h>

struct delivery;
struct secret;

/* May an SMS go to this user (mailaddr_key)? INVALID: no transport, no such user, no telephone. */
gboolean sms_check(const struct delivery *delivery, const char *email,
		   GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
