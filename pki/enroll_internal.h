/*
 * enroll_internal - what the files of pki/enroll share.
 *
 * enroll: what people ask for; enroll_make: rows, keys, CSRs; enroll_step: one step under the
 * row's lock, the question outside of it; enroll_answer: what an answer makes of a row;
 * enroll_check: what a CA gives back; enroll_schedule: when; enroll_lease: who.
 */
#ifndef PKI_ENROLL_INTERNAL_H
#define PKI_ENROLL_INTERNAL_H

#include "pki/enroll.h"
#include "pki/handlers/handler.h"
#include "store/base/cleanup.h"

#define ENROLL_LEASE_SECONDS 60
#define ENROLL_LOST_MAX 3 /* blind repetitions of a request whose answer was lost */

const struct handler *enroll_handler(const struct enroll *enroll, const char *name,
				     GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct handler_context enroll_context(const struct enroll *enroll,
				      const struct handler_config *config);
gboolean enroll_is_open(const struct request_row *row);
/* Printable copy, or NULL. */
void enroll_set_text(char **member, const char *text);
gboolean enroll_set_handle(struct request_row *row, const char *handle,
			   GError **error) G_GNUC_WARN_UNUSED_RESULT;
void enroll_set_error(struct request_row *row, enum handler_error_class error_class,
		      const char *code, const char *text);
/* The row, and a line of its history (text NULL: none). */
gboolean enroll_save(struct tx *tx, struct request_row *row, const char *text,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Finished without a certificate; a delivery that waits for it is given up. */
gboolean enroll_end(struct tx *tx, struct request_row *row, enum request_state state,
		    const char *text, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Key and CSR of a new request: state keyed. */
gboolean enroll_make_key(const struct enroll *enroll, struct tx *tx, struct request_row *row,
			 const struct handler *handler, const struct handler_config *config,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* certs: the issued one first. Checks all but what `accept` leaves to the person, stores, ends. */
enum enroll_trust { ENROLL_CHECKED, ENROLL_CHAIN_MAY_LACK, ENROLL_ACCEPTED };
gboolean enroll_store_certs(const struct enroll *enroll, struct tx *tx, struct request_row *row,
			    GPtrArray *certs, const struct handler_config *config,
			    enum enroll_trust trust, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Saves the row. */
gboolean enroll_take_answer(const struct enroll *enroll, struct tx *tx, struct request_row *row,
			    const struct handler *handler, const struct handler_config *config,
			    const struct handler_answer *answer,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* Keeps the request's lease while somebody is asked. */
struct enroll_lease;
struct enroll_lease *enroll_lease_keep(struct db *db, struct clock *clock, gint64 id, gint attempt);
void enroll_lease_end(struct enroll_lease *lease); /* NULL is fine */
DEFINE_CLEANUP(enroll_lease, enroll_lease_end)

#endif
