/*
 * listener_probe - is the listener for copies there, and what can it do? Says EHLO to it, and with
 * an address whether it would take a copy for him; no message is sent. Threads: any.
 */
#ifndef ADMIN_API_LISTENER_PROBE_H
#define ADMIN_API_LISTENER_PROBE_H

#include <glib.h>

/* "PIPELINING SIZE 8BITMIME SMTPUTF8 DSN" as far as it has them. sender and recipient may be NULL.
 * NULL with *error: it does not answer, or would not take the copy. */
char *listener_probe(const char *address, const char *sender, const char *recipient,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
