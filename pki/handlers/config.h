/*
 * config - the settings of a request handler, under a name: several of a kind can stand side by
 * side.
 *
 * Each handler has a table of keys; values are rows of handler_setting, secrets sealed for their
 * row (K10). A configuration is read once for an act and does not change under it. What was set as
 * a secret is never shown again. Threads: any; a configuration is immutable.
 */
#ifndef PKI_HANDLERS_CONFIG_H
#define PKI_HANDLERS_CONFIG_H

#include <glib.h>

#include "store/base/cleanup.h"

struct cert;
struct db;
struct handler;
struct key;
struct keyring;
struct secret;
struct tx;

enum handler_key_type {
	HANDLER_KEY_TEXT,
	HANDLER_KEY_SECRET,   /* a password, from file, descriptor or terminal */
	HANDLER_KEY_INT,      /* values: "1..90" */
	HANDLER_KEY_DURATION, /* values: "1s..1h"; "30s", "15m" */
	HANDLER_KEY_BOOL,     /* on, off */
	HANDLER_KEY_CHOICE,   /* values: "async|sync" */
	HANDLER_KEY_LIST,     /* words, or values in quotes */
	HANDLER_KEY_URL,      /* values: "https", "http|https" */
	HANDLER_KEY_CERTS,    /* from a file: certificates of any format, kept as PEM */
	HANDLER_KEY_PRIVATE,  /* from a file: a private key (or a PKCS#12), kept sealed */
};

struct handler_key {
	const char *name; /* "url", as in ejbca.url; NULL ends the table. A name with
			   * <domain> in it ("per_domain.<domain>.profile_id") stands for many. */
	enum handler_key_type type;
	const char *initial; /* default; "" none */
	const char *values;  /* see the types; or what it is, for help */
	gboolean required;
	const char *sentence;
};

struct handler_config;

/* Every configuration exists: one of which nothing was set has the defaults. config NULL or "":
 * "default". */
struct handler_config *handler_config_load(struct db *db, struct keyring *keyring,
					   const struct handler *handler, const char *config,
					   GError **error) G_GNUC_WARN_UNUSED_RESULT;
void handler_config_free(struct handler_config *config);
const char *handler_config_name(const struct handler_config *config);

/* The value or the default; "" when neither. A name that the table lacks is a bug. */
const char *handler_config_text(const struct handler_config *config, const char *name);
gint64 handler_config_int(const struct handler_config *config, const char *name);
gint64 handler_config_seconds(const struct handler_config *config, const char *name);
gboolean handler_config_bool(const struct handler_config *config, const char *name);
const char *const *handler_config_list(const struct handler_config *config, const char *name);
struct secret *handler_config_secret(const struct handler_config *config,
				     const char *name); /* borrowed; NULL: not set */
GPtrArray *handler_config_certs(const struct handler_config *config,
				const char *name); /* struct cert; borrowed; NULL: not set */
/* What a CA says may repeat what it was told: asterisks in the place of each secret. NULL is fine.
 */
void handler_config_hide(const struct handler_config *config, char *text);
struct key *handler_config_key(const struct handler_config *config,
			       const char *name); /* borrowed; NULL: not set */
/* Set by a person, rather than the default? */
gboolean handler_config_is_set(const struct handler_config *config, const char *name);
/* The first required key that is not set, in a sentence that says how to set it; NULL: none. */
char *handler_config_lacks(const struct handler_config *config);
/* What is set, by name; those with <domain> as they were written. Owned (g_strfreev). */
GStrv handler_config_names(const struct handler_config *config);

/* The row of a name, also of one with <domain>; NULL with INVALID that offers the nearest. */
const struct handler_key *handler_key_find(const struct handler *handler, const char *name,
					   GError **error);
/* The keys that every handler which asks others has beside its own; ended as theirs. */
extern const struct handler_key handler_common_keys[];
gboolean handler_has_common_keys(const struct handler *handler);

/* Sets one value from text, or from the bytes of a file for CERTS and PRIVATE, or from a secret.
 * value NULL: back to the default. INVALID says what it takes. */
gboolean handler_config_set(struct tx *tx, struct keyring *keyring, const struct handler *handler,
			    const char *config, const char *name, const struct secret *value,
			    const struct secret *password, /* of a PKCS#12 or PEM file, or NULL */
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Drops all that was set of a configuration. NOT_FOUND: nothing was. */
gboolean handler_config_delete(struct tx *tx, const struct handler *handler, const char *config,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Letters, digits, '.', '_' and '-'; INVALID. */
gboolean handler_config_name_check(const char *config, GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(handler_config, handler_config_free)

#endif
