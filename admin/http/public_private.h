/*
 * public_private - what the handlers of the public listener share.
 */
#ifndef ADMIN_HTTP_PUBLIC_PRIVATE_H
#define ADMIN_HTTP_PUBLIC_PRIVATE_H

#include "admin/http/public.h"
#include "store/cache.h"

struct gateway;
struct ocsp_responder;

struct public
{
	struct gateway *gateway;
	struct public_server *server;
	struct ocsp_responder *responder;
	struct cache *answers; /* of OCSP, by ocsp_responder_name */
	struct cache *files;   /* lists, certificates and the page, by path */
	struct cache_limits file_limits;
	struct public_answer *malformed, *unauthorized; /* OCSP responses without content */
};

/* Handlers; data is the struct public. */
struct public_answer *public_ocsp_peek(const struct public_request *request, gpointer data);
struct public_answer *public_ocsp_handle(const struct public_request *request, gpointer data);
struct public_answer *public_file_peek(const struct public_request *request, gpointer data);
struct public_answer *public_crl_handle(const struct public_request *request, gpointer data);
struct public_answer *public_ca_handle(const struct public_request *request, gpointer data);
struct public_answer *public_page_handle(const struct public_request *request, gpointer data);
struct public_answer *public_acme_handle(const struct public_request *request, gpointer data);

/* What all of them rest on; and keeping one under the path of its request. */
GArray *public_tags(void);
void public_keep(struct public *public, const struct public_request *request,
		 struct public_answer *answer, gsize size, gint64 until, const GArray *tags,
		 struct cache_moment began);
struct public_answer *public_ocsp_refusal(guint8 status);

#endif
