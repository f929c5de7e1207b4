/*
 * postconf - the configuration of a Postfix as postconf(1) tells it: main.cf and master.cf.
 *
 * Values are given with $name expanded once, which is enough for what people write. Strings that
 * functions return belong to the caller. Threads: any, read-only.
 */
#ifndef ADMIN_API_POSTCONF_H
#define ADMIN_API_POSTCONF_H

#include <glib.h>

#include "store/base/cleanup.h"

struct postconf_service {
	char *name;     /* "smtp/inet" */
	char *address;  /* "smtp", "127.0.0.1:10026" */
	char *kind;     /* "inet", "unix", "pass" */
	char *command;  /* "smtpd" */
	gint processes; /* at most so many; -1: default_process_limit, 0: any number */
};

struct postconf {
	GHashTable *parameters; /* main.cf: name -> value, defaults included */
	GHashTable *overrides;  /* "smtp/inet/smtpd_milters" -> value */
	GPtrArray *services;    /* of struct postconf_service * */
};

/* folder: of the configuration, or NULL. NULL with *error: postconf failed. */
struct postconf *postconf_read(const char *folder, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void postconf_free(struct postconf *postconf); /* NULL is fine */

char *postconf_parameter(const struct postconf *postconf, const char *name);
/* As a service has it: its own -o, else main.cf's. */
char *postconf_service_parameter(const struct postconf *postconf, const char *service,
				 const char *name);
/* Does it take mail by SMTP? */
gboolean postconf_listens(const struct postconf_service *service);
gint64 postconf_seconds(const char *value); /* "300s", "5m" */

DEFINE_CLEANUP(postconf, postconf_free)

#endif
