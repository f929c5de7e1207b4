/*
 * http_exchange - one hop of a request: options and callbacks of libcurl, with the limits.
 *
 * For http.c alone. The guard is asked where a socket is opened, so that nothing gets round it;
 * limits are checked as octets arrive. Threads: an exchange belongs to one.
 */
#ifndef PKI_NET_HTTP_EXCHANGE_H
#define PKI_NET_HTTP_EXCHANGE_H

#include <curl/curl.h>
#include <glib.h>

#include "pki/net/http.h"

#define HTTP_HEADERS_MAX_BYTES (64 * 1024)

struct url;

struct exchange {
	const struct http_request *request;
	const char *address; /* of this hop: the request's URL, then where redirects lead */
	struct url *url;     /* the same, read; under a guard or with a proxy */
	gboolean proxied;
	unsigned int timeout_ms;
	GByteArray *body;
	gsize body_max_bytes;
	gsize headers_bytes;
	gboolean too_large, headers_too_large;
	GHashTable *headers;
	char *refused; /* by the guard, why */
	gboolean connected;
	gboolean sent;     /* or about to be */
	gboolean answered; /* since then */
	gboolean repeated; /* would have been sent again */
};

/* Sends, and fills in what came. The rest is the caller's: to set up, to read, to free. */
CURLcode exchange_perform(CURL *curl, struct exchange *exchange);

#endif
