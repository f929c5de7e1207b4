/*
 * foreign - is the signature that a message brought along valid for its author? (decision 6)
 *
 * Asked only where a signature must be there, so that ordinary mail pays nothing for it. Every
 * signature has to be good, and one of them by a certificate that is trusted now and has the
 * author's address. Threads: any.
 */
#ifndef MILTER_FOREIGN_H
#define MILTER_FOREIGN_H

#include "milter/mime/scan.h"
#include "milter/policy/facts.h"

struct gateway;
struct mailaddr;

#define FOREIGN_CERTS_MAX 5

/* ABLE_UNKNOWN where trust or the spool could not be asked. */
enum able foreign_signature(struct gateway *gateway, const struct mime_tree *tree,
			    const struct mailaddr *author);
/* The certificates that a validly signed message brought along for its author: end users', naming
 * him, on a path to a root. NULL where the signature is not valid for him. */
GPtrArray *foreign_certs(struct gateway *gateway, const struct mime_tree *tree,
			 const struct mailaddr *author);

#endif
