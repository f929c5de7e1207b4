/*
 * serving - are the gateway's programs at work on a database, on this host or another?
 *
 * For commands that replace all of it or take it elsewhere: what is written meanwhile is lost.
 */
#ifndef ADMIN_API_SERVING_H
#define ADMIN_API_SERVING_H

#include <glib.h>

struct settings;

/* DENIED, saying how many connections there are, while any is open; a program that has just been
 * stopped is waited for. */
gboolean serving_nobody(const struct settings *settings, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
