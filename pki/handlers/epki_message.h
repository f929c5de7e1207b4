/*
 * epki_message - what GlobalSign's EPKI service (GasOrderService) is told and what it says.
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * Elements come in the order of the service's own structures. Pure. Threads: any.
 */
#ifndef PKI_HANDLERS_EPKI_MESSAGE_H
#define PKI_HANDLERS_EPKI_MESSAGE_H

#include <glib.h>

#include "pki/handlers/handler.h"
#include "pki/handlers/soap.h"

struct secret;

/* Who asks, for which account. */
struct epki_account {
	const char *username;
	const struct secret *password;
	const char *profile_id, *product_code;
	gint64 years;
	gboolean qualified;
};

struct epki_order {
	const char *csr_pem, *common_name, *email, *upn; /* upn NULL: not sent */
	const char *const *organizational_units;
	gboolean efs;
	const struct secret *pickup_password;
};

/* NULL with INVALID: a value that XML cannot hold. */
struct secret *epki_order_body(const struct epki_account *account, const struct epki_order *order,
			       GError **error);
struct secret *epki_query_body(const struct epki_account *account, const char *order_id,
			       GError **error);
/* Orders of this common name that were asked for within the time. */
struct secret *epki_search_body(const struct epki_account *account, const char *common_name,
				gint64 from, gint64 until, GError **error);
struct secret *epki_revoke_body(const struct epki_account *account, const char *order_id,
				GError **error);
struct secret *epki_profiles_body(const struct epki_account *account, GError **error);

/* The "Response" of an answer whose header says success; else NULL, and *answer says what is
 * wrong. acts: what was asked changes something there. */
const struct soap_node *epki_response(const struct soap_answer *soap, gboolean acts,
				      struct handler_answer *answer);

enum epki_status { EPKI_WAITS, EPKI_ISSUED, EPKI_REVOKED, EPKI_REFUSED };

/* One OrderDetail. */
struct epki_detail {
	enum epki_status status;
	char *order_id, *status_text, *serial, *email;
	GPtrArray *certs; /* the certificate, then its chain; NULL: none yet */
};
struct epki_detail *epki_detail_read(const struct soap_node *detail);
void epki_detail_free(struct epki_detail *detail);
/* The certificate of an order's own answer (CERT); NULL: there is none. */
GPtrArray *epki_cert_read(const struct soap_node *response);

DEFINE_CLEANUP(epki_detail, epki_detail_free)

#endif
