/*
 * trust_list - the noun ctl (T3, T4, T8): allow or deny single certificates.
 */
#include "admin/api/cert_text.h"
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
	g_autofree char *after = NULL;
	struct page page;
	const char *last = NULL;
	json_t *items;

	if (call_text(call, "after") != NULL &&
	    (after = hex_from_spelling(call_text(call, "after"))) == NULL)
		return fail(error, PS_ERROR_INVALID, "--after: not a cursor of this list");
	if (!page_limit_of(call, &page, error))
		return NULL;
	g_autoptr(GPtrArray) rows = ctl_list(call->gateway->db, after, page.limit, error);
	if (rows == NULL)
		return NULL;
	items = json_array();
	for (guint i = 0; i < rows->len; i++) {
		const struct ctl_row *row = g_ptr_array_index(rows, i);

		json_array_append_new(items, entry_object(row));
		last = row->thumbprint;
	}
	return answer_list(items, rows->len >= (guint)page.limit ? last : NULL);
}

/* What an entry names: its thumbprint, and the certificate if it is here. */
struct named {
	char *thumbprint;
	struct cert *cert;
};

static void
named_clear(struct named *named)
{
	g_clear_pointer(&named->thumbprint, g_free);
	g_clear_pointer(&named->cert, cert_unref);
}

/* A whole thumbprint may be of a certificate that nobody has yet; the beginning of one must be of
 * a certificate or root that is here, or of an entry. */
static gboolean
name_find(struct call *call, const char *text, struct named *named, GError **error)
{
	g_autoptr(GError) problem = NULL;
	g_autofree char *digits = hex_from_spelling(text);

	memset(named, 0, sizeof *named);
	if (digits == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: neither a file nor a thumbprint (hex digits)", text);
	named->cert = cert_text_find(call, digits, &problem);
	if (named->cert != NULL) {
		named->thumbprint = g_strdup(cert_thumbprint(named->cert));
		return TRUE;
	}
	if (!g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return FALSE;
	}
	CLEANUP(ctl_row) struct ctl_row *entry = ctl_find(call->gateway->db, digits, NULL);
	if (entry != NULL)
		named->thumbprint = g_strdup(entry->thumbprint);
	else if (hex_is_thumbprint(digits))
		named->thumbprint = g_steal_pointer(&digits);
	else
		return fail_false(
		    error, PS_ERROR_NOT_FOUND,
		    "%s: no certificate of the store; for one that is not there yet give all "
		    "%d digits of its SHA-512 thumbprint, or its file",
		    text, THUMBPRINT_DIGITS);
	return TRUE;
}

/* How far an entry reaches. FALSE: that is not known. */
static gboolean
add_reach(struct call *call, json_t *answer, const struct named *named, enum ctl_kind kind,
	  GError **error)
{
	gint64 below = 0;

	if (named->cert == NULL) {
		json_object_set_new(
		    answer, "note",
		    json_string(kind == CTL_KIND_DENY
				    ? "this certificate is not in the store yet; if it is of a CA, "
				      "all that it issued is denied too"
				    : "this certificate is not in the store yet; if it is of a CA, "
				      "the entry has no effect on what it issued"));
		return TRUE;
	}
	if (!cert_is_ca(named->cert))
		return TRUE;
	if (!certs_count_below(call->gateway->db, cert_subject_key(named->cert), &below, error))
		return FALSE;
	json_object_set_new(answer, kind == CTL_KIND_DENY ? "reaches" : "issued",
			    json_integer(below));
	json_object_set_new(
	    answer, "note",
	    kind == CTL_KIND_DENY
		? json_sprintf("this is a CA: all that it issued, directly or not, is denied too: "
			       "%" G_GINT64_FORMAT " certificates of the store",
			       below)
		: json_sprintf("this is a CA: the entry speaks for its own certificate alone and "
			       "has no effect on what it issued (%" G_GINT64_FORMAT
			       " certificates of the store)",
			       below));
	return TRUE;
}

json_t *
ctl_show(struct call *call, GError **error)
{
	struct named named;
	CLEANUP(ctl_row) struct ctl_row *row = NULL;
	json_t *object = NULL;

	if (name_find(call, call_text(call, "cert"), &named, error))
		row = ctl_find(call->gateway->db, named.thumbprint, error);
	if (row != NULL) {
		object = entry_object(row);
		json_object_set_new(object, "in_store", json_boolean(named.cert != NULL));
		if (named.cert != NULL) {
			json_object_set_new(object, "subject",
					    answer_text(cert_subject(named.cert)));
			json_object_set_new(object, "issuer", answer_text(cert_issuer(named.cert)));
			json_object_set_new(object, "kind", json_string(cert_kind(named.cert)));
			json_object_set_new(object, "not_after",
					    answer_time(cert_not_after(named.cert)));
			(void)cert_text_judge(call, object, named.cert);
		}
		if (!add_reach(call, object, &named, row->kind, error))
			g_clear_pointer(&object, json_decref);
	}
	named_clear(&named);
	return object;
}

struct put {
	struct ctl_row row;
	const struct named *named;
	json_t *reach; /* of add_reach */
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
	json_object_set_new(
	    answer, "subject",
	    answer_text(put->named->cert != NULL ? cert_subject(put->named->cert) : NULL));
	json_object_update(answer, put->reach);
	return answer;
}

static json_t *
put_run(struct call *call, struct put *put, GError **error)
{
	json_t *answer = NULL;

	put->reach = json_object();
	if (add_reach(call, put->reach, put->named, put->row.kind, error))
		answer = change_run(call, put_entry, put, error);
	json_decref(put->reach);
	return answer;
}

static json_t *
add_entry(struct call *call, const struct named *named, GError **error)
{
	g_autoptr(GError) problem = NULL;
	gboolean deny = strcmp(call_text(call, "mark"), "deny") == 0;
	CLEANUP(ctl_row)
	struct ctl_row *present = ctl_find(call->gateway->db, named->thumbprint, &problem);
	struct put put = { .named = named };

	if (deny && call_flag(call, "expired"))
		return fail(error, PS_ERROR_INVALID, "--expired goes with allow only");
	if (present != NULL)
		return fail(error, PS_ERROR_INVALID,
			    "there is an entry already (%s): change it with 'ctl set'",
			    ctl_mark(present));
	if (!g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND)) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return NULL;
	}
	put.row.thumbprint = named->thumbprint;
	put.row.kind = deny ? CTL_KIND_DENY : CTL_KIND_ALLOW;
	put.row.allow_expired = call_flag(call, "expired");
	put.row.comment = (char *)call_text(call, "comment");
	return put_run(call, &put, error);
}

json_t *
ctl_add(struct call *call, GError **error)
{
	struct named named;
	json_t *answer = NULL;

	if (name_find(call, call_text(call, "cert"), &named, error))
		answer = add_entry(call, &named, error);
	named_clear(&named);
	return answer;
}

static json_t *
set_entry(struct call *call, const struct named *named, GError **error)
{
	const char *mark = call_text(call, "mark");
	const char *expired = call_text(call, "expired");
	CLEANUP(ctl_row)
	struct ctl_row *row = ctl_find(call->gateway->db, named->thumbprint, error);

	if (row == NULL)
		return NULL;
	if (mark == NULL && expired == NULL && call_text(call, "comment") == NULL)
		return fail(error, PS_ERROR_INVALID,
			    "say what to change: --mark, --expired or --comment");
	struct put put = { .row = *row, .named = named };
	if (mark != NULL)
		put.row.kind = strcmp(mark, "deny") == 0 ? CTL_KIND_DENY : CTL_KIND_ALLOW;
	if (expired != NULL)
		put.row.allow_expired = strcmp(expired, "yes") == 0;
	if (put.row.kind == CTL_KIND_DENY && put.row.allow_expired && expired != NULL)
		return fail(error, PS_ERROR_INVALID, "--expired goes with allow only");
	if (put.row.kind == CTL_KIND_DENY)
		put.row.allow_expired = FALSE;
	if (call_text(call, "comment") != NULL)
		put.row.comment = (char *)call_text(call, "comment");
	return put_run(call, &put, error);
}

json_t *
ctl_set(struct call *call, GError **error)
{
	struct named named;
	json_t *answer = NULL;

	if (name_find(call, call_text(call, "cert"), &named, error))
		answer = set_entry(call, &named, error);
	named_clear(&named);
	return answer;
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
		struct named named;
		gboolean found = name_find(call, *name, &named, error);

		if (found)
			g_ptr_array_add(whole, g_steal_pointer(&named.thumbprint));
		named_clear(&named);
		if (!found)
			return NULL;
	}
	return change_run(call, remove_entries, whole, error);
}
