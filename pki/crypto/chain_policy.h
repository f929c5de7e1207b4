/*
 * chain_policy - certificate policies along one path (RFC 5280 section 6.1, RFC 9618).
 *
 * The valid policies are kept as a graph with one node a policy and level, as RFC 9618 has it, so
 * that mappings cannot make them explode as a tree. Pure; threads: any.
 */
#ifndef PKI_CRYPTO_CHAIN_POLICY_H
#define PKI_CRYPTO_CHAIN_POLICY_H

#include <glib.h>

#include "pki/crypto/chain.h"

/* path: struct cert, end certificate first, the anchor last (its policies do not count). TRUE when
 * the path may be used; *found is the user-constrained policy set, sorted, in either case. *steps
 * grows by the nodes and edges that were made. */
gboolean chain_policies(const GPtrArray *path, const struct chain_options *options, GStrv *found,
			guint *steps);

#endif
