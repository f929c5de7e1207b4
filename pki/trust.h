/*
 * trust - may this certificate be used now, for this purpose, and why.
 *
 * Path validation over the certificates and roots of the store, CTL marks, revocation: in the
 * order denied, revoked, usage, dates, path (T4). Verdicts are cached by thumbprint and purpose
 * until the earliest moment at which the answer could change, or until a row that they rest on
 * does. Threads: any number; verdicts are immutable and shared.
 * Failure: TEMPORARY when the store cannot be asked and no verdict is cached.
 */
#ifndef PKI_TRUST_H
#define PKI_TRUST_H

#include <glib.h>

#include "pki/crypto/cert.h"
#include "pki/crypto/chain.h"
#include "pki/trust_mode.h"
#include "pki/verdict.h"
#include "store/base/cleanup.h"
#include "store/base/clock.h"

struct db;
struct cache_limits;
struct cache_stats;
struct changelog;
struct preference_cache;
struct trust;

/* changelog may be NULL (tests): nothing is remembered then. Arguments live longer. */
struct trust *trust_new(struct db *db, struct changelog *changelog, struct clock *clock,
			struct preference_cache *preferences, const struct cache_limits *limits);
void trust_free(struct trust *trust);
/* What parsed revocation lists may take (setting crl_memory). */
void trust_set_crl_memory(struct trust *trust, gsize bytes_max);
/* Never NULL without *error set. Unref the verdict. */
struct verdict *trust_judge(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With certificates inside a message as further candidates (hints, never trusted; NULL for none)
 * and at another time (0: now), which is not remembered. */
struct verdict *trust_judge_at(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
			       GPtrArray *hints, gint64 at,
			       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* As trust_judge, with the revocation mode of the address that it is for (preferences
 * revocation_encrypt …); trust_judge takes the global one. */
struct verdict *trust_judge_with(struct trust *trust, struct cert *cert, enum trust_purpose purpose,
				 struct trust_mode mode, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same; what the verdict rests on is joined to the tags (GArray of change_tag). */
struct verdict *trust_judge_tagged(struct trust *trust, struct cert *cert,
				   enum trust_purpose purpose, struct trust_mode mode, GArray *tags,
				   GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The same for one whose row was just read, with its CTL entry ("allow", "allow-expired", "deny",
 * NULL for none); not remembered here. */
struct verdict *trust_judge_row(struct trust *trust, struct cert *cert, const char *ctl_mark,
				enum trust_purpose purpose, struct trust_mode mode, GArray *tags,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* With hints and a mode of its own; remembered like the others. */
struct verdict *trust_judge_hinted(struct trust *trust, struct cert *cert,
				   enum trust_purpose purpose, struct trust_mode mode,
				   GPtrArray *hints, GError **error) G_GNUC_WARN_UNUSED_RESULT;
struct trust_question { /* everything that path validation can be asked; never remembered */
	enum trust_purpose purpose;
	enum chain_revocation revocation;
	GPtrArray *hints;            /* struct cert, or NULL */
	gint64 at;                   /* 0: now */
	const char *const *policies; /* user-initial-policy-set; NULL is anyPolicy */
	gboolean explicit_policy, inhibit_policy_mapping, inhibit_any_policy;
	gboolean allow_legacy; /* SHA-1 and short keys, for old mail */
};
struct verdict *trust_ask(struct trust *trust, struct cert *cert,
			  const struct trust_question *question,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
void trust_stats(struct trust *trust, struct cache_stats *stats);

DEFINE_CLEANUP(trust, trust_free)

#endif
