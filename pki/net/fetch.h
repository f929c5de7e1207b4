/*
 * fetch - gets what a URL names: http, https, ldap, ldaps under one set of limits.
 *
 * For URLs of strangers (distribution points, AIA, OCSP) and of handlers' call-backs: the address
 * guard, ports, proxy and TLS are as the settings fetch_* say, sizes and times are limited, nothing
 * of an answer's body, banner or status text enters an error. What comes is signed and is judged by
 * who asked; nothing is believed here.
 * Errors: DENIED refused by the guard; INVALID a URL or answer that stays wrong (404, too large);
 * TEMPORARY worth another try. Threads: any number may use one fetcher.
 */
#ifndef PKI_NET_FETCH_H
#define PKI_NET_FETCH_H

#include <glib.h>

#include "store/base/cleanup.h"

struct address_guard;
struct fetcher;
struct network;
struct settings;

#define FETCH_CRL_MAX_BYTES (256UL * 1024 * 1024)
#define FETCH_CERT_MAX_BYTES (1024UL * 1024)
#define FETCH_VALUES_MAX 16

struct fetch_options {
	gsize size_max_bytes; /* of all values together; 0: FETCH_CERT_MAX_BYTES */
	guint timeout_ms;     /* of everything, redirects included; 0: the setting fetch_timeout */
	/* Conditional requests; http and https only. */
	const char *etag;      /* NULL: none */
	gint64 modified_since; /* 0: none */
	/* ldap: attributes that are taken, NULL-terminated, each also as ;binary, those that the
	 * URL names before others. */
	const char *const *attributes;
	/* http: POST this (OCSP); NULL: GET. */
	GBytes *body;
	const char *content_type;
	const char *accept; /* header Accept; may be NULL */
	/* http: set beside an error or not; -1 when the server does not say. May be NULL. */
	gint64 *retry_after;
	/* Called while waiting, in the calling thread; FALSE gives up. May be NULL. */
	gboolean (*waiting)(gpointer data);
	gpointer waiting_data;
};

struct fetch_answer {
	gboolean unchanged; /* 304: no values */
	GPtrArray *values;  /* GBytes; one for http, one a value for ldap; never empty otherwise */
	char *etag;         /* NULL: none */
	gint64 last_modified; /* 0: none */
	gint64 max_age;       /* seconds of Cache-Control; -1: does not say */
	char *url;            /* where it came from, after redirects */
};

/* Settings are read once; settings_ref is not kept. */
struct fetcher *fetcher_new(const struct settings *settings);
/* The same with another network (tests); it stays the caller's and lives longer. */
struct fetcher *fetcher_new_with(const struct settings *settings, const struct network *network);
void fetcher_free(struct fetcher *fetcher);

struct fetch_answer *fetch_url(struct fetcher *fetcher, const char *url,
			       const struct fetch_options *options,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void fetch_answer_free(struct fetch_answer *answer);

DEFINE_CLEANUP(fetcher, fetcher_free)
DEFINE_CLEANUP(fetch_answer, fetch_answer_free)

#endif
