/*
 * inbound_keys - whose private keys are this recipient's, and which of them open this object.
 *
 * A key is his if it is held here and a certificate of it has his address or one that counts as
 * his, or was chosen for a scope of his and marked for decryption. Expired and revoked ones count.
 * What came by itself out of mail or from a directory proves nothing: whoever sends a certificate
 * with his own address over somebody's public key would read that somebody's mail.
 * Failure: TEMPORARY, the store cannot be asked. Threads: any, one message each.
 */
#ifndef MILTER_POLICY_INBOUND_KEYS_H
#define MILTER_POLICY_INBOUND_KEYS_H

#include <glib.h>

#include "store/base/cleanup.h"
#include "store/base/mailaddr.h"

struct cms_info;
struct gateway;
struct inbound_keys;
struct named_keys;

#define NAMED_KEYS_MAX 32 /* recipientInfos that are looked up in the store */

struct inbound_keys *inbound_keys_find(struct gateway *gateway, const struct mailaddr *address,
				       GPtrArray *aliases,
				       GError **error) G_GNUC_WARN_UNUSED_RESULT;
void inbound_keys_free(struct inbound_keys *keys); /* NULL is fine */
/* Of struct cert *: all of them; borrowed. */
GPtrArray *inbound_keys_certs(const struct inbound_keys *keys);

/* One encrypted object, asked for several recipients; info is borrowed. */
struct named_keys *named_keys_new(struct gateway *gateway, const struct cms_info *info);
void named_keys_free(struct named_keys *named);
/* Of struct cert *: those that the object names and whose keys are his; empty: none. One is there
 * also under another certificate's name, of the same public key. NULL with *error. */
GPtrArray *named_keys_of(struct named_keys *named, const struct inbound_keys *keys,
			 GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(inbound_keys, inbound_keys_free)
DEFINE_CLEANUP(named_keys, named_keys_free)

#endif
