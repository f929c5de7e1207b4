/*
 * dns_txt - the TXT records of a name, as the system's resolver or a named server sees them.
 *
 * No record is an empty list; TEMPORARY: no answer. Bounded in time (some seconds) and number.
 * Nothing that is decided on it needs it to be true: it only says when it is worth to ask somebody
 * who checks for himself. Threads: any.
 */
#ifndef PKI_NET_DNS_TXT_H
#define PKI_NET_DNS_TXT_H

#include <glib.h>

/* server: "192.0.2.1" or "192.0.2.1:5353"; NULL or "": the system's. g_strfreev. */
GStrv dns_txt(const char *name, const char *server, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
