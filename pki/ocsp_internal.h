/*
 * ocsp_internal - between the files of our own OCSP responder.
 */
#ifndef PKI_OCSP_INTERNAL_H
#define PKI_OCSP_INTERNAL_H

#include "pki/ocsp_responder.h"

struct ocsp_answer_row;
struct ocsp_delegate;
struct ocsp_issuer;
struct ocsp_issuers;

struct ocsp_responder {
	struct db *db;
	struct changelog *changelog;
	struct clock *clock;
	struct keyring *keyring;
	GMutex lock; /* of what follows */
	struct ocsp_issuers *issuers;
	guint64 since; /* moment of the change log before they were loaded */
	gint64 complained;
};

/* A reference. */
struct ocsp_issuers *ocsp_responder_issuers(struct ocsp_responder *responder,
					    GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Signs what the row names and keeps it, unless there is one that is not due then; asked as the
 * row says, CLOCK_NEVER: nobody has. */
gboolean ocsp_responder_sign_row(struct ocsp_responder *responder, const struct ocsp_issuer *issuer,
				 const struct ocsp_delegate *delegate,
				 const struct ocsp_policy *policy,
				 const struct ocsp_answer_row *row, gint64 due,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* *delegate NULL without error: the issuer has ended, or its key is not here. */
gboolean ocsp_responder_delegate(struct ocsp_responder *responder, const struct ocsp_issuer *issuer,
				 const struct ocsp_policy *policy, struct ocsp_delegate **delegate,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
