/*
 * adcs_page - what can be read out of the pages of Microsoft's certificate enrolment over the web.
 *
 * The pages are made for people and translated; what stays the same everywhere are links with a
 * request id, error numbers, and media types. English words help where there is nothing else.
 * Tried against a fake of our own, written from public sources; not against the real service.
 * Pure, bounded. Threads: any.
 */
#ifndef PKI_HANDLERS_ADCS_PAGE_H
#define PKI_HANDLERS_ADCS_PAGE_H

#include <glib.h>

#include "pki/handlers/handler.h"
#include "store/base/cleanup.h"

#define ADCS_TEXT_MAX_BYTES 500

enum adcs_finding {
	ADCS_ISSUED,  /* a link to the certificate */
	ADCS_PENDING, /* somebody has to look */
	ADCS_DENIED,
	ADCS_ABSENT,  /* there is no such request */
	ADCS_BUSY,    /* the CA behind the page does not answer */
	ADCS_UNKNOWN, /* none of these can be read out of it */
};

struct adcs_page {
	enum adcs_finding finding;
	gint64 id;                            /* of the request; 0: not found */
	guint32 code;                         /* HRESULT; 0: none */
	enum handler_error_class error_class; /* of DENIED */
	char *text; /* the message of the page, or its words; foreign text */
};

/* html is a page, whatever its encoding; never NULL. */
struct adcs_page *adcs_page_read(GBytes *html);
void adcs_page_free(struct adcs_page *page);
/* "var nRenewals=3;" of certcarc.asp; -1: not found, or out of bounds. */
gint adcs_renewals_read(GBytes *html);

DEFINE_CLEANUP(adcs_page, adcs_page_free)

#endif
