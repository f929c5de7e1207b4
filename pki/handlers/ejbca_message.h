/*
 * ejbca_message - what EJBCA's REST interface is told and what it says: bodies and answers.
 *
 * Tried against a fake of our own, written from public sources; not against the real service.
 * Fields that only newer servers know are left out unless they are configured. Pure.
 * Failure: INVALID names what the answer lacks. Threads: any.
 */
#ifndef PKI_HANDLERS_EJBCA_MESSAGE_H
#define PKI_HANDLERS_EJBCA_MESSAGE_H

#include <glib.h>
#include <jansson.h>

struct cert;
struct request_row;
struct secret;

struct ejbca_enrol {
	const char *csr_pem, *ca_name, *username;
	const struct secret *code;
	gboolean existing; /* for an end entity that is there: five fields and no more */
	const char *certificate_profile, *end_entity_profile;
	const char *email, *account_binding_id; /* NULL: not sent */
	/* Newer servers alone; NULL, 0: not sent. */
	const char *response_format, *subject_dn;
	const char *const *extension_data, *const *custom_data; /* NAME=VALUE */
	gint64 not_before, not_after;
};
struct secret *ejbca_enrol_body(const struct ejbca_enrol *enrol);
struct secret *ejbca_finalize_body(const struct secret *code);
/* v2 pages its results, v1 does not. */
char *ejbca_search_body(const char *username, gboolean v2);

/* {email}, {local}, {domain}, {common_name}, {hash} (of the address); INVALID: an unknown one. The
 * same for each request of an address: a renewal is an enrolment of the same end entity. */
char *ejbca_username(const char *template, const struct request_row *request,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "keyCompromise" -> "KEY_COMPROMISE"; NULL and unknown ones: "UNSPECIFIED". */
const char *ejbca_reason(const char *reason);
/* "CN=Mail CA, O=Example" as EJBCA writes it: without the blanks. */
char *ejbca_dn(const char *name);

/* The certificate, then what came as its chain; struct cert. */
GPtrArray *ejbca_enrolled_read(const json_t *document, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of a 202: the number to ask with; 0 when there is none. */
gint64 ejbca_approval_read(const json_t *document);
/* Among what a search found: the certificate for this key; NULL: not there. */
struct cert *ejbca_found_read(const json_t *document, const char *spki_sha256);
/* The subject of the CA of this name, borrowed; NULL: it is not in the list. */
const char *ejbca_ca_read(const json_t *document, const char *ca_name);

#endif
