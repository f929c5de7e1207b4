/*
 * smtp_internal - what the files of the SMTP client share.
 *
 * Threads: those of smtp.h.
 */
#ifndef PKI_NET_SMTP_INTERNAL_H
#define PKI_NET_SMTP_INTERNAL_H

#include <glib.h>
#include <poll.h>

#include "pki/net/smtp.h"

/* Waits for events of fd; fd -1: a moment. FALSE when time is over or the caller gives up; *ready
 * may be NULL. */
typedef gboolean (*smtp_wait_func)(gpointer data, int fd, short events, short *ready);

/* A connected non-blocking socket, or -1. */
int smtp_connect(const char *address, smtp_wait_func wait, gpointer data, GError **error);

/* Appends MAIL (number 0) or the RCPT of that number, from 1, with its CRLF. INVALID for what is no
 * address or value; then out is worthless. Pure. */
gboolean smtp_command(GString *out, const struct smtp_envelope *envelope, guint number,
		      guint extensions, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID names what the server lacks for this envelope. Pure. */
gboolean smtp_can_take(const struct smtp_envelope *envelope, guint extensions, const char *server,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
