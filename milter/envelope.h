/*
 * envelope - where a message came from and to whom it goes, as the MTA told: plain data.
 *
 * Addresses are kept twice: the argument byte for byte (recipients can only be deleted by it) and
 * the bare address without brackets, which is not yet normalised (mailaddr_parse does that).
 * Postfix gives no brackets and no parameters for mail from sendmail(1).
 * Threads: filled by one session, then read-only.
 */
#ifndef MILTER_ENVELOPE_H
#define MILTER_ENVELOPE_H

#include <glib.h>

#include "store/base/cleanup.h"

struct envelope_recipient {
	char *argument;   /* "<bob@partner.example>" */
	char *address;    /* "bob@partner.example" */
	char *parameters; /* "NOTIFY=NEVER ORCPT=..." or NULL */
};

struct envelope {
	char *client_address;    /* "192.0.2.1", "2001:db8::1"; NULL: a unix socket or unknown */
	char *client_name;       /* as the MTA gives it, or NULL */
	char *daemon_name;       /* {daemon_name} or NULL */
	char *login;             /* {auth_authen} or NULL: not authenticated */
	char *sender;            /* bare; "" is the null sender */
	char *sender_argument;   /* "<alice@corp.example>" */
	char *sender_parameters; /* "SIZE=500 BODY=8BITMIME" or NULL */
	char *queue_id;          /* "" until the MTA has told it */
	GPtrArray *recipients;   /* of struct envelope_recipient *, in order, never NULL */
};

struct envelope *envelope_new(void);
void envelope_free(struct envelope *envelope); /* NULL is fine */
void envelope_set_sender(struct envelope *envelope, const char *argument, const char *parameters);
void envelope_add_recipient(struct envelope *envelope, const char *argument,
			    const char *parameters);
/* "alice@x" of "<alice@x>" or " alice@x "; "" of "<>". Owned by the caller. */
char *envelope_bare_address(const char *argument);

DEFINE_CLEANUP(envelope, envelope_free)

#endif
