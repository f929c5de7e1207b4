/*
 * pending - cert accept and refuse: certificates that came by themselves and wait (S1).
 */
#include "admin/api/handlers.h"

#include "admin/api/change.h"
#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/certs.h"
#include "store/ctl.h"
#include "store/db/tx.h"

struct waiting {
	GPtrArray *rows; /* struct cert_row */
	gboolean deny;
};

static GPtrArray *
waiting_rows(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "certs");
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func((GDestroyNotify)cert_row_free);

	for (char **name = names; *name != NULL; name++) {
		struct cert_row *row = certs_find(call->gateway->db, *name, error);

		if (row == NULL)
			return NULL;
		g_ptr_array_add(rows, row);
		if (!row->pending)
			return fail(error, PS_ERROR_INVALID,
				    "certificate %.16s does not wait for anybody", row->thumbprint);
	}
	return g_steal_pointer(&rows);
}

static void
describe(struct change *change, const GPtrArray *rows)
{
	g_autoptr(GString) object = g_string_new(NULL);

	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = rows->pdata[i];

		g_string_append_printf(object, "%s%s", i > 0 ? " " : "", row->thumbprint);
	}
	change->object = g_strdup(object->str);
	if (rows->len == 1)
		change->detail = g_strdup(((const struct cert_row *)rows->pdata[0])->subject);
}

static json_t *
accept_rows(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct waiting *waiting = data;

	for (guint i = 0; i < waiting->rows->len; i++) {
		const struct cert_row *row = waiting->rows->pdata[i];

		if (!certs_set_pending(tx, row->thumbprint, FALSE, error))
			return NULL;
	}
	describe(change, waiting->rows);
	return json_pack("{s:i}", "accepted", (int)waiting->rows->len);
}

json_t *
cert_accept(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) rows = waiting_rows(call, error);
	struct waiting waiting = { rows, FALSE };

	return rows != NULL ? change_run(call, accept_rows, &waiting, error) : NULL;
}

static gboolean
deny_row(struct tx *tx, const struct cert_row *row, GError **error)
{
	const struct ctl_row entry = {
		.thumbprint = row->thumbprint,
		.kind = CTL_KIND_DENY,
		.comment = (char *)"refused when it came by itself",
	};

	return ctl_put(tx, &entry, error);
}

static json_t *
refuse_rows(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct waiting *waiting = data;

	for (guint i = 0; i < waiting->rows->len; i++) {
		const struct cert_row *row = waiting->rows->pdata[i];

		if (!certs_delete(tx, row->thumbprint, error) ||
		    (waiting->deny && !deny_row(tx, row, error)))
			return NULL;
	}
	describe(change, waiting->rows);
	return json_pack("{s:i, s:b}", "refused", (int)waiting->rows->len, "denied", waiting->deny);
}

json_t *
cert_refuse(struct call *call, GError **error)
{
	g_autoptr(GPtrArray) rows = waiting_rows(call, error);
	struct waiting waiting = { rows, call_flag(call, "deny") };

	return rows != NULL ? change_run(call, refuse_rows, &waiting, error) : NULL;
}
