/*
 * parcel - one message for the reinjection listener: what it needs of SMTP, and its bytes.
 *
 * The bytes are those of edits_apply_to_message with our fields above: Received (RFC 5321 section
 * 4.4: a gateway adds one; the copy has not got the one that the MTA gives the message in place)
 * and, where it is asked for, the marker. Parameters of MAIL and RCPT are those that the message
 * came with; SIZE, BODY and SMTPUTF8 are as this copy needs them.
 * Threads: one at a time.
 */
#ifndef MILTER_PARCEL_H
#define MILTER_PARCEL_H

#include <glib.h>

#include "pki/net/smtp.h"
#include "store/base/cleanup.h"

struct edits;
struct envelope;
struct headers;
struct spool;

struct parcel {
	struct edits *edits;
	struct headers *headers;
	struct spool *body; /* that edits may replace */

	char *sender;          /* "<alice@corp.example>" */
	char *ret, *envid;     /* or NULL */
	gboolean headers_only; /* RET=HDRS, and the server has to know it */
	GArray *members;       /* of guint, indices in the envelope */
	GPtrArray *recipients; /* of struct parcel_recipient *, one a member */

	guint64 size; /* with what we put above */
	gboolean eight_bit, utf8;
};

struct parcel_recipient {
	char *address; /* "<bob@partner.example>" */
	char *bare;
	char *notify, *orcpt; /* or NULL */
};

/* Borrows edits, headers and body. Reads all of it once. NULL with *error. */
struct parcel *parcel_new(struct edits *edits, struct headers *headers, struct spool *body,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Sender and parameters of the message; the members that stand in indices. */
void parcel_address(struct parcel *parcel, const struct envelope *envelope, const GArray *indices);
/* A notice: the null sender, to one. */
void parcel_address_notice(struct parcel *parcel, const char *recipient);
void parcel_free(struct parcel *parcel); /* NULL is fine */

/* For smtp_begin: recipients [first, first + count). Strings are borrowed; `to` has count rows. */
struct smtp_envelope parcel_envelope(const struct parcel *parcel, guint first, guint count,
				     struct smtp_recipient *to);
/* The body that leaves; borrowed. */
struct spool *parcel_body(const struct parcel *parcel);
/* All bytes. top: fields of ours, each with CRLF. */
gboolean parcel_write(struct parcel *parcel, const char *top, struct sink *to,
		      GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* "Received: ..." CRLF. host: our name. */
char *parcel_received(const struct envelope *envelope, const char *host, gint64 now);
/* The value of KEYWORD=VALUE among ESMTP parameters, "" of a bare KEYWORD, NULL: not there. */
char *parcel_parameter(const char *parameters, const char *keyword);

DEFINE_CLEANUP(parcel, parcel_free)

#endif
