/*
 * trust_list - the noun ctl (T3, T4, T8): allow or deny single certificates.
 */
#include "admin/api/change.h"
#include "admin/api/handlers.h"

#include <string.h>

#include "admin/api/paging.h"
#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/certs.h"
#include "store/ctl.h"
#include "store/db/tx.h"

static json_t *
entry_object(const struct ctl_row *row)
{
	json_t *object = json_object();

	json_object_set_new(object, "thumbprint", answer_text(row->thumbprint));
	json_object_set_new(object, "mark", json_string(ctl_mark(row)));
	json_object_set_new(object, "subject", answer_text(row->subject));
	json_object_set_new(object, "comment", answer_text(row->comment));
	json_object_set_new(object, "created", answer_time(row->created));
	json_object_set_new(object, "changed", answer_time(row->changed));
	return object;
}

json_t *
ctl_list_entries(struct call *call, GError **error)
{
	gint limit = page_limit(call);
	g_autoptr(GPtrArray) rows =
	    ctl_list(call->gateway->db, call_text(call, "after"), limit, error);
	const char *last = NULL;
	json_t *items;

	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct ctl_row *row = g_ptr_array_index(rows, i);

		json_array_append_new(items, entry_object(row));
		last = row->thumbprint;
	}
	return answer_list(items, rows->len >= (guint)limit ? last : NULL);
}

/* A whole thumbprint may be of a certificate that nobody has yet; a prefix must be of one here. */
static char *
whole_thumbprint(struct call *call, const char *text, const char **subject_or_null,
		 struct cert_row **row, GError **error)
{
	g_autofree char *plain = g_ascii_strdown(text, -1);
	g_autoptr(GString) digits = g_string_new(NULL);

	for (const char *p = plain; *p != '\0'; p++)
		if (*p != ':' && *p != ' ')
			g_string_append_c(digits, *p);
	*row = certs_find(call->gateway->db, digits->str, NULL);
	*subject_or_null = *row != NULL ? (*row)->subject : NULL;
	if (*row != NULL)
		return g_strdup((*row)->thumbprint);
	if (hex_is_thumbprint(digits->str))
		return g_strdup(digits->str);
	CLEANUP(ctl_row) struct ctl_row *entry = ctl_find(call->gateway->db, digits->str, NULL);
	if (entry != NULL)
		return g_strdup(entry->thumbprint);
	return fail(error, PS_ERROR_NOT_FOUND,
		    "%s: no certificate of the store; for one that is not there yet give all %d "
		    "digits of its SHA-512 thumbprint",
		    text, THUMBPRINT_DIGITS);
}

json_t *
ctl_show(struct call *call, GError **error)
{
	CLEANUP(cert_row) struct cert_row *cert = NULL;
	const char *subject;
	g_autofree char *thumbprint =
	    whole_thumbprint(call, call_text(call, "cert"), &subject, &cert, error);
	CLEANUP(ctl_row) struct ctl_row *row = NULL;

	if (thumbprint == NULL)
		return NULL;
	row = ctl_find(call->gateway->db, thumbprint, error);
	return row != NULL ? entry_object(row) : NULL;
}

struct put {
	struct ctl_row row;
	const char *subject;
	gboolean is_ca;
};

static json_t *
put_entry(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const struct put *put = data;
	json_t *answer;

	if (!ctl_put(tx, &put->row, error))
		return NULL;
	change->object = g_strdup(put->row.thumbprint);
	change->detail =
	    g_strdup_printf("%s%s%s", ctl_mark(&put->row), put->row.comment != NULL ? ": " : "",
			    put->row.comment != NULL ? put->row.comment : "");
	answer = json_object();
	json_object_set_new(answer, "thumbprint", answer_text(put->row.thumbprint));
	json_object_set_new(answer, "mark", json_string(ctl_mark(&put->row)));
	json_object_set_new(answer, "subject", answer_text(put->subject));
	if (put->is_ca && put->row.kind == CTL_KIND_ALLOW)
		json_object_set_new(answer, "note",
				    json_string("this is a CA: the entry speaks for its own "
						"certificate alone, not for what it issued"));
	else if (put->is_ca)
		json_object_set_new(answer, "note",
				    json_string("this is a CA: all that it issued is denied too"));
	return answer;
}

json_t *
ctl_add(struct call *call, GError **error)
{
	CLEANUP(cert_row) struct cert_row *cert = NULL;
	const char *subject;
	g_autofree char *thumbprint =
	    whole_thumbprint(call, call_text(call, "cert"), &subject, &cert, error);
	gboolean deny = strcmp(call_text(call, "mark"), "deny") == 0;
	struct put put = { .subject = subject, .is_ca = cert != NULL && cert->is_ca };

	if (thumbprint == NULL)
		return NULL;
	if (deny && call_flag(call, "expired"))
		return fail(error, PS_ERROR_INVALID, "--expired goes with allow only");
	CLEANUP(ctl_row) struct ctl_row *present = ctl_find(call->gateway->db, thumbprint, NULL);
	if (present != NULL)
		return fail(error, PS_ERROR_INVALID,
			    "there is an entry already (%s): change it with 'ctl set'",
			    ctl_mark(present));
	put.row.thumbprint = thumbprint;
	put.row.kind = deny ? CTL_KIND_DENY : CTL_KIND_ALLOW;
	put.row.allow_expired = call_flag(call, "expired");
	put.row.comment = (char *)call_text(call, "comment");
	return change_run(call, put_entry, &put, error);
}

json_t *
ctl_set(struct call *call, GError **error)
{
	CLEANUP(cert_row) struct cert_row *cert = NULL;
	const char *subject;
	const char *mark = call_text(call, "mark");
	const char *expired = call_text(call, "expired");
	g_autofree char *thumbprint =
	    whole_thumbprint(call, call_text(call, "cert"), &subject, &cert, error);
	CLEANUP(ctl_row) struct ctl_row *row = NULL;

	if (thumbprint == NULL)
		return NULL;
	row = ctl_find(call->gateway->db, thumbprint, error);
	if (row == NULL)
		return NULL;
	struct put put = { .row = *row, .subject = subject, .is_ca = cert != NULL && cert->is_ca };
	if (mark != NULL)
		put.row.kind = strcmp(mark, "deny") == 0 ? CTL_KIND_DENY : CTL_KIND_ALLOW;
	if (expired != NULL)
		put.row.allow_expired = strcmp(expired, "yes") == 0;
	if (put.row.kind == CTL_KIND_DENY && mark != NULL && expired == NULL)
		put.row.allow_expired = FALSE;
	if (call_text(call, "comment") != NULL)
		put.row.comment = (char *)call_text(call, "comment");
	return change_run(call, put_entry, &put, error);
}

static json_t *
remove_entries(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	const GPtrArray *names = data;
	g_autoptr(GString) object = g_string_new(NULL);

	for (guint i = 0; i < names->len; i++) {
		const char *thumbprint = g_ptr_array_index(names, i);

		if (!ctl_remove(tx, thumbprint, error))
			return NULL;
		g_string_append_printf(object, "%s%s", i > 0 ? " " : "", thumbprint);
	}
	change->object = g_strdup(object->str);
	return json_pack("{s:i}", "removed", (int)names->len);
}

json_t *
ctl_remove_entries(struct call *call, GError **error)
{
	g_auto(GStrv) names = call_list(call, "certs");
	g_autoptr(GPtrArray) whole = g_ptr_array_new_with_free_func(g_free);

	for (char **name = names; *name != NULL; name++) {
		CLEANUP(cert_row) struct cert_row *cert = NULL;
		const char *subject;
		char *thumbprint = whole_thumbprint(call, *name, &subject, &cert, error);

		if (thumbprint == NULL)
			return NULL;
		g_ptr_array_add(whole, thumbprint);
	}
	return change_run(call, remove_entries, whole, error);
}
