/*
 * crl_load - revocation lists into the store: who signed it, is it newer, and then all at once.
 *
 * The signature is checked once, here; nodes believe the row. A list belongs to an issuer's
 * name, the key that signed it, a scope (issuing distribution point) and to complete or delta:
 * of these only one is in force. It is replaced in one transaction, by a list of which neither
 * date nor number is earlier and one is later (by a list that fails one of both only when the
 * one in force is out of date). What is not believed, or may not replace what is there, is kept as
 * a row with a state and a reason, without effect, and looked at again by crl_reexamine.
 * What a list said and its successor does not say any more stays, as past revocations, unless it
 * was certificateHold (T6).
 * Interrupted anywhere nothing has happened; two loads of one list do the work once.
 * Threads: any; a loader belongs to one thread. Failure: the database's only, all else is an
 * outcome.
 */
#ifndef PKI_CRL_LOAD_H
#define PKI_CRL_LOAD_H

#include <glib.h>

#include "store/base/cleanup.h"

/* So far past its thisUpdate our clock may be behind that of a CA: a list counts all the same. */
#define CRL_EARLY_SECONDS (2 * 24 * 3600)

struct cert;
struct changelog;
struct crl;
struct crl_loader;
struct db;
struct tx;

enum crl_load_outcome {
	CRL_LOAD_IN_FORCE, /* new, and in force from the commit on */
	CRL_LOAD_KEPT,     /* new, kept without effect: see the reason */
	CRL_LOAD_PRESENT,  /* this very list is in the store */
	CRL_LOAD_OLDER,    /* the store has a newer one; not kept */
	CRL_LOAD_BROKEN,   /* cannot be read; not kept */
};

/* changelog (or NULL): keeps what was read of roots and CA certificates from load to load. */
struct crl_loader *crl_loader_new(struct db *db, struct changelog *changelog);
void crl_loader_free(struct crl_loader *loader);

/* DER or PEM. source: URL or file name (shown). *reason: why it is not in force, a sentence, owned
 * by the caller; "" when there is nothing to say. */
gboolean crl_load(struct crl_loader *loader, GBytes *bytes, const char *source,
		  enum crl_load_outcome *outcome, char **reason,
		  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same of a parsed list (with its DER), within a transaction; issuer: the certificate of our
 * own CA that has just signed it, or NULL: who signed is looked for in the store, as far as it is
 * committed. */
gboolean crl_load_in(struct crl_loader *loader, struct tx *tx, const struct crl *crl,
		     const struct cert *issuer, const char *source, enum crl_load_outcome *outcome,
		     char **reason, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Looks again at what is kept without effect (issuer_key NULL: all), after a CA certificate or
 * root came, and in time. *changed: how many have another state now. */
gboolean crl_reexamine(struct crl_loader *loader, const char *issuer_key, guint *changed,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(crl_loader, crl_loader_free)

#endif
