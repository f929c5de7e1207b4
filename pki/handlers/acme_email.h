/*
 * acme_email - proof of a mailbox by mail (RFC 8823): the daemon's half.
 *
 * The filter takes the server's mail (store/acme_mails.h), a job sends the answer; here it is said
 * what is waited for, and what the answer has to hold.
 */
#ifndef PKI_HANDLERS_ACME_EMAIL_H
#define PKI_HANDLERS_ACME_EMAIL_H

#include "pki/handlers/acme_order.h"

/* Before the order is asked for: some servers send the mail with it. */
gboolean acme_email_open(struct acme_work *work);
void acme_email_close(struct acme_work *work);
/* TRUE: the mail was answered and the server told to look. */
gboolean acme_email_work(struct acme_work *work, const struct acme_authorization *authorization,
			 const struct acme_challenge *challenge);

/* The digest of the key authorization, as the answer carries it (RFC 8823 section 3.2). The parts
 * of the token are joined as strings, or, for servers that do so, as what they decode to. */
char *acme_email_digest(const char *token1, const char *token2, gboolean join_decoded,
			const char *thumbprint, GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
