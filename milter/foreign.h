/*
 * foreign - is the signature that a message brought along valid for its author?
 *
 * Asked only where a signature must be there, so that ordinary mail pays nothing for it. The
 * answer is the verdict of a reading, of the outermost layer alone. Threads: any.
 */
#ifndef MILTER_FOREIGN_H
#define MILTER_FOREIGN_H

#include "milter/mime/scan.h"
#include "milter/policy/facts.h"

struct gateway;
struct mailaddr;
struct reading;

#define FOREIGN_CERTS_MAX 5

/* By the preferences of all. NULL with *error where the spool or the store could not be read. */
struct reading *foreign_reading(struct gateway *gateway, const struct mime_tree *tree,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* ABLE_UNKNOWN where trust or the spool could not be asked. */
enum able foreign_signature(struct gateway *gateway, const struct mime_tree *tree,
			    const struct mailaddr *author);
/* The certificates that a validly signed message brought along for its author: end users', naming
 * him, on a path to a root. NULL where its verdict is not valid. */
GPtrArray *foreign_certs(struct gateway *gateway, const struct reading *reading);

#endif
