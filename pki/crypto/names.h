/*
 * names - what a certificate is called, and the name constraints of its issuers.
 *
 * RFC 5280 sections 4.2.1.6 and 4.2.1.10; RFC 9598 section 6 for SmtpUTF8Mailbox, which the
 * constraints of rfc822Name speak of as well, domains compared as A-labels. What a constraint
 * speaks of and we do not understand fails closed. Immutable when read; threads: any.
 */
#ifndef PKI_CRYPTO_NAMES_H
#define PKI_CRYPTO_NAMES_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "store/base/cleanup.h"

#define NAMES_MAX 1024 /* of a certificate, and subtrees of a constraint */

enum name_kind { NAME_DIRECTORY, NAME_MAIL, NAME_DNS, NAME_URI, NAME_IP, NAME_OTHER };

struct name {
	enum name_kind kind;
	char *text;          /* to show; printable */
	char *host;          /* lower-case A-labels */
	char *local;         /* of a mailbox, as it is written */
	char *folded;        /* the same as mail addresses are compared */
	gboolean subdomains; /* a constraint that began with a dot */
	gboolean unusable;   /* cannot be compared: no constraint of its kind permits it */
	char *form;          /* NAME_OTHER: which one */
	GPtrArray *parts;    /* NAME_DIRECTORY: a comparable text for each RDN */
	GBytes *address;     /* NAME_IP; of a constraint with its mask */
};

struct name_constraints {
	GPtrArray *permitted; /* struct name, as bases */
	GPtrArray *excluded;
	gboolean bounded; /* has a minimum or maximum, which RFC 5280 does not allow */
};

/* Subject, its emailAddresses, alternative names. NULL: more than NAMES_MAX, or unreadable. */
GPtrArray *names_of(const struct cert *cert);
/* NULL when there is none; *broken is set where it cannot be read. */
struct name_constraints *name_constraints_of(const struct cert *cert, gboolean *broken);
void name_constraints_free(struct name_constraints *constraints);
/* The first of names that they do not let pass, or NULL. Adds the comparisons to *steps. */
const struct name *names_violation(const GPtrArray *names,
				   const struct name_constraints *constraints, guint *steps);

#endif
