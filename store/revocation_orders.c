/*
 * revocation_orders - SQL and mapping of revocation_order.
 */
#include "store/revocation_orders.h"

#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/db/query.h"
#include "store/db/tx.h"

#define COLUMNS                                                                                    \
	"SELECT id, thumbprint, request_id, handler, handler_config, handle, issuer_thumbprint,"   \
	" serial, reason, state, attempts, next_try, error_class, error_text, requester, created," \
	" updated FROM revocation_order"

void
revocation_order_free(struct revocation_order *order)
{
	if (order == NULL)
		return;
	g_free(order->thumbprint);
	g_free(order->handler);
	g_free(order->handler_config);
	g_free(order->handle);
	g_free(order->issuer_thumbprint);
	g_free(order->serial);
	g_free(order->reason);
	g_free(order->state);
	g_free(order->error_class);
	g_free(order->error_text);
	g_free(order->requester);
	g_free(order);
}

static struct revocation_order *
order_read(const struct rows *rows, int r)
{
	struct revocation_order *order = g_new0(struct revocation_order, 1);
	int c = 0;

	order->id = rows_int(rows, r, c++);
	order->thumbprint = g_strdup(rows_text(rows, r, c++));
	order->request_id = rows_int(rows, r, c++);
	order->handler = g_strdup(rows_text(rows, r, c++));
	order->handler_config = g_strdup(rows_text(rows, r, c++));
	order->handle = g_strdup(rows_text(rows, r, c++));
	order->issuer_thumbprint = g_strdup(rows_text(rows, r, c++));
	order->serial = g_strdup(rows_text(rows, r, c++));
	order->reason = g_strdup(rows_text(rows, r, c++));
	order->state = g_strdup(rows_text(rows, r, c++));
	order->attempts = (gint)rows_int(rows, r, c++);
	order->next_try = rows_time(rows, r, c++);
	order->error_class = g_strdup(rows_text(rows, r, c++));
	order->error_text = g_strdup(rows_text(rows, r, c++));
	order->requester = g_strdup(rows_text(rows, r, c++));
	order->created = rows_time(rows, r, c++);
	order->updated = rows_time(rows, r, c++);
	return order;
}

static const struct statement revocation_orders_put_statement = {
	"revocation_orders_put",
	"INSERT INTO revocation_order (thumbprint, request_id, handler, handler_config, handle,"
	" issuer_thumbprint, serial, reason, requester, next_try) VALUES ($1, $2, $3, $4, $5, $6,"
	" $7, $8, $9, $10) ON CONFLICT (thumbprint) DO UPDATE SET reason = excluded.reason,"
	" state = 'open', next_try = excluded.next_try, error_class = NULL, error_text = NULL,"
	" requester = excluded.requester, updated = now()"
	" WHERE revocation_order.state <> 'done' RETURNING id",
};

gboolean
revocation_orders_put(struct tx *tx, const struct revocation_order *order, gint64 *id,
		      GError **error)
{
	struct params *params = params_new();

	params_text(params, order->thumbprint);
	params_int(params, order->request_id);
	params_text(params, order->handler);
	params_text(params, order->handler_config);
	params_text(params, order->handle);
	params_text(params, order->issuer_thumbprint);
	params_text(params, order->serial);
	params_text(params, order->reason);
	params_text(params, order->requester);
	params_time(params, order->next_try);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &revocation_orders_put_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) == 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "certificate %.16s is revoked already: its CA said so",
				  order->thumbprint);
	*id = rows_int(rows, 0, 0);
	return TRUE;
}

static const struct statement revocation_orders_find_statement = {
	"revocation_orders_find",
	COLUMNS " WHERE id = $1",
};

struct revocation_order *
revocation_orders_find(struct db *db, gint64 id, GError **error)
{
	struct params *params = params_new();

	params_int(params, id);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &revocation_orders_find_statement, params, error);
	if (rows == NULL)
		return NULL;
	if (rows_count(rows) == 0)
		return fail(error, PS_ERROR_NOT_FOUND,
			    "revocation %" G_GINT64_FORMAT " does not exist", id);
	return order_read(rows, 0);
}

static const struct statement revocation_orders_of_statement = {
	"revocation_orders_of",
	COLUMNS " WHERE thumbprint = $1",
};

gboolean
revocation_orders_of(struct db *db, const char *thumbprint, struct revocation_order **order,
		     GError **error)
{
	struct params *params = params_new();

	*order = NULL;
	params_text(params, thumbprint);
	CLEANUP(rows)
	struct rows *rows = db_write(db, &revocation_orders_of_statement, params, error);
	if (rows == NULL)
		return FALSE;
	if (rows_count(rows) > 0)
		*order = order_read(rows, 0);
	return TRUE;
}

static const struct statement revocation_orders_update_statement = {
	"revocation_orders_update",
	"UPDATE revocation_order SET state = $2, attempts = $3, next_try = $4, error_class = $5,"
	" error_text = $6, updated = now() WHERE id = $1",
};

gboolean
revocation_orders_update(struct tx *tx, const struct revocation_order *order, GError **error)
{
	struct params *params = params_new();

	params_int(params, order->id);
	params_text(params, order->state);
	params_int(params, order->attempts);
	params_time(params, order->next_try);
	params_text(params, order->error_class);
	params_text(params, order->error_text);
	CLEANUP(rows)
	struct rows *rows = tx_query(tx, &revocation_orders_update_statement, params, error);
	return rows != NULL;
}
