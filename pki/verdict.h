/*
 * verdict - what trust says of a certificate: a state, the reason, what it rests on.
 *
 * Made by trust, immutable, counted. Threads: any.
 */
#ifndef PKI_VERDICT_H
#define PKI_VERDICT_H

#include <glib.h>

#include "pki/crypto/chain.h"
#include "store/base/cleanup.h"

enum verdict_state {
	VERDICT_VALID,
	VERDICT_INVALID,
	VERDICT_REVOKED,
	/* Its revocation has to be known, and is not: a list is missing where it was to be
	 * encrypted to or signed with, or a responder is being asked. */
	VERDICT_UNKNOWN,
};

/* The mark beside a certificate (T8). */
enum ctl_mark {
	CTL_MARK_NONE,
	CTL_MARK_ALLOW,
	CTL_MARK_ALLOW_EXPIRED,
	CTL_MARK_DENY,
	CTL_MARK_DENY_INHERITED, /* denied through an issuer, see ctl_thumbprint */
};

struct verdict {
	gint references;
	enum verdict_state state;
	/* K2: what is wrong, naming the certificate, list or entry, and what would mend it; "" when
	 * there is nothing. What log, lists, `explain` and JSON show. */
	char *reason;
	char *finding;   /* the first half of it */
	GPtrArray *path; /* struct cert, end certificate first; as far as found */
	gint64 expires;  /* the earliest moment at which the answer may change */
	enum ctl_mark ctl;
	char *ctl_thumbprint;   /* of the entry that speaks, or NULL */
	char *ctl_subject;      /* whose entry it is, or NULL */
	enum chain_fault fault; /* CHAIN_FAULTS when it is valid or denied */
	/* What the answer on its revocation rests on, with its date: "CRL of 'X' of …", "OCSP
	 * responder 'http://…' of …", and what could not be checked: "not checked: CRL of 'X' is
	 * missing"; NULL when there is none. */
	char *revocation;
	gboolean unchecked;    /* revocation could not be checked, which is not fatal */
	gboolean incomplete;   /* an issuer or the root is not in the store */
	gboolean by_ctl_allow; /* valid only because of an allow entry */
};

/* Invalid, until somebody says otherwise; no path yet. */
struct verdict *verdict_new(void);
struct verdict *verdict_ref(struct verdict *verdict);
void verdict_unref(struct verdict *verdict);
const char *verdict_state_name(enum verdict_state state); /* "valid", "invalid" … */
const char *ctl_mark_name(enum ctl_mark mark);            /* "allow", "denied through issuer" */
/* The mark with the name that it comes from: "denied through 'CN=Y'"; "" when there is none. Owned
 * by the caller. */
char *verdict_mark(const struct verdict *verdict);

DEFINE_CLEANUP(verdict, verdict_unref)

#endif
