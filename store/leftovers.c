/*
 * leftovers - one statement a table.
 */
#include "store/leftovers.h"

#include "store/db/query.h"
#include "store/db/tx.h"

#define ENDED "state NOT IN ('new', 'keyed', 'pending')"

/* $1: before then. */
static const struct statement histories[] = {
	{ "leftovers_revocations",
	  "DELETE FROM revocation_order WHERE state <> 'open' AND updated < $1" },
	{ "leftovers_batches",
	  "DELETE FROM bulk_batch WHERE state IN ('done', 'cancelled') AND finished < $1" },
	{ "leftovers_events",
	  "DELETE FROM request_event e USING request r WHERE e.at < $1 AND r.id = e.request_id"
	  " AND r." ENDED " AND r.updated < $1" },
};

/* An ended order is nobody's at its server, where none of these can be found again and taken: only
 * open ones are. An account stays while its configuration does, or something it may revoke. */
static const struct statement idles[] = {
	{ "leftovers_acme_orders",
	  "DELETE FROM acme_order o USING request r WHERE r.id = o.request_id AND r." ENDED
	  " AND r.updated < $1" },
	{ "leftovers_acme_mails",
	  "DELETE FROM acme_mail WHERE state = 'waiting' AND expires < $1" },
	{ "leftovers_acme_accounts",
	  "DELETE FROM acme_account a WHERE a.created < $1 AND NOT EXISTS (SELECT 1 FROM"
	  " handler_setting s WHERE s.handler = 'acme' AND s.config = a.config)"
	  " AND NOT EXISTS (SELECT 1 FROM request r LEFT JOIN certificate c ON c.request_id = r.id"
	  " WHERE r.handler = 'acme' AND r.handler_config = a.config"
	  " AND (r.state IN ('new', 'keyed', 'pending') OR c.not_after > $1))" },
	{ "leftovers_renewals",
	  "DELETE FROM renewal n WHERE n.next_try < $1 AND NOT EXISTS (SELECT 1 FROM certificate c"
	  " WHERE c.thumbprint = n.thumbprint AND c.not_after > $1)" },
	{ "leftovers_advice",
	  "DELETE FROM renewal_advice a WHERE a.asked < $1 AND NOT EXISTS (SELECT 1 FROM"
	  " certificate c WHERE c.thumbprint = a.thumbprint AND c.not_after > $1)" },
	{ "leftovers_users",
	  "DELETE FROM user_left u WHERE u.at < $1 AND NOT EXISTS (SELECT 1 FROM request r"
	  " LEFT JOIN certificate c ON c.request_id = r.id WHERE r.email = u.address"
	  " AND (r.state IN ('new', 'keyed', 'pending') OR c.not_after > $1))" },
	{ "leftovers_publications",
	  "DELETE FROM publication WHERE digest = '' AND next_try IS NULL AND published < $1" },
};

static gboolean
forget(struct tx *tx, const struct statement *statements, gsize n, gint64 before, GError **error)
{
	for (gsize i = 0; i < n; i++) {
		struct params *params = params_new();

		params_time(params, before);
		CLEANUP(rows) struct rows *rows = tx_query(tx, &statements[i], params, error);
		if (rows == NULL)
			return FALSE;
	}
	return TRUE;
}

gboolean
leftovers_forget(struct tx *tx, gint64 history, gint64 idle, GError **error)
{
	return forget(tx, histories, G_N_ELEMENTS(histories), history, error) &&
	       forget(tx, idles, G_N_ELEMENTS(idles), idle, error);
}
