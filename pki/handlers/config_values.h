/*
 * config_values - what the types of a handler's settings take, and their canonical form.
 *
 * Pure. Threads: any. INVALID says what is taken, without the name of the key.
 */
#ifndef PKI_HANDLERS_CONFIG_VALUES_H
#define PKI_HANDLERS_CONFIG_VALUES_H

#include "pki/handlers/config.h"

#define CONFIG_VALUE_MAX_BYTES (64 * 1024)

/* For all types but SECRET, CERTS and PRIVATE; the caller's. */
char *config_value_check(const struct handler_key *key, const char *text,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean config_number_parse(enum handler_key_type type, const char *text, gint64 *value);
/* Words, or values in quotes; NULL with INVALID. */
GStrv config_list_parse(const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Does the name, with something in the place of <domain>, fit? */
gboolean config_name_fits(const char *pattern, const char *name);

#endif
