/*
 * crl_load_internal - one list on its way into the store, as the files of crl_load share it.
 *
 * examine (crl_load_examine.c: who signed, is he trusted), then decide and put (crl_load_put.c: is
 * it newer than the one in force, and its rows). Threads: a loading belongs to one.
 */
#ifndef PKI_CRL_LOAD_INTERNAL_H
#define PKI_CRL_LOAD_INTERNAL_H

#include "pki/crl_load.h"
#include "store/crls.h"

struct issuer_pool;

/* A list that comes, or one that is looked at again. */
struct loading {
	struct crl_loader *loader;
	struct tx *tx;
	const struct crl *crl;
	const struct cert *own; /* certificate of our own CA, or NULL */
	gint64 now;
	struct crl_row row;        /* texts borrowed, but for note */
	const struct crl_row *was; /* as it stands in the store, or NULL */
	struct cert *signer;       /* or NULL */
	char *note;
};

/* What the store holds above a signer: kept from load to load with a change log, else read anew. */
struct issuer_pool *crl_loader_pool(struct crl_loader *loader);
/* The note is a sentence, "" for none; it is taken. */
void loading_set_state(struct loading *loading, enum crl_state state, char *taken_note);
/* Sets state, note, and the signer where there is one. FALSE: it could not be found out. */
gboolean loading_examine(struct loading *loading, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* After loading_examine(), under crls_lock(): puts the list in force, or keeps it without effect.
 */
gboolean loading_put(struct loading *loading, enum crl_load_outcome *outcome,
		     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
