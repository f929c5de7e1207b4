/*
 * judge - the order of judgement (T4) over what is known of one certificate. Pure.
 *
 *   denied by its own entry, then by one on any issuer  -> invalid
 *   revoked, by a list or an OCSP answer                -> revoked, whatever the CTL says
 *   usage, algorithms, extensions of its own            -> invalid
 *   expired, or not yet valid                           -> invalid unless `allow expired`
 *   no path to a root, or revocation that is required and unknown -> invalid unless allowed
 */
#ifndef PKI_JUDGE_H
#define PKI_JUDGE_H

#include <glib.h>

#include "pki/trust.h"

struct judge_facts {
	enum ctl_mark own;      /* NONE, ALLOW, ALLOW_EXPIRED or DENY */
	gboolean issuer_denied; /* one on any candidate path */
	gboolean faults[CHAIN_FAULTS];
};

struct judge_answer {
	enum verdict_state state;
	enum ctl_mark mark;
	enum chain_fault fault; /* the one that decided; CHAIN_FAULTS when none did */
	gboolean by_ctl_allow;  /* valid only because of the entry */
};

struct judge_answer judge_facts(const struct judge_facts *facts);

#endif
