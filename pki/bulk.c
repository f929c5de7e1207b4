/*
 * bulk - what would become of the rows of a file.
 */
#include "pki/bulk.h"

#include <string.h>

#include "pki/bulk_file.h"
#include "pki/crypto/cert.h"
#include "pki/csv.h"
#include "pki/trust.h"
#include "pki/verdict.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/bulk_rivals.h"
#include "store/config/settings.h"
#include "store/db/change_tags.h"
#include "store/preferences.h"

#define JUDGES_MAX 8
/* Fewer certificates than that are judged by one thread. */
#define JUDGES_FROM 32

struct judging {
	struct trust *trust;
	struct trust_mode mode;
	GPtrArray *rivals;
	gint next;        /* atomic */
	gint failed;      /* atomic */
	gboolean *usable; /* of each rival */
};

/* Can the gateway sign with it today? */
static gboolean
judge_one(struct judging *judging, const struct bulk_rival *rival)
{
	g_autoptr(GArray) tags = change_tags_new();

	CLEANUP(cert) struct cert *cert = cert_parse(rival->der, NULL);
	if (cert == NULL || !cert_may_sign(cert) || !cert_has_email_purpose(cert))
		return FALSE;
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge_row(judging->trust, cert, rival->ctl, TRUST_SIGN,
						  judging->mode, tags, NULL);
	if (verdict == NULL)
		g_atomic_int_set(&judging->failed, 1);
	return verdict != NULL && verdict->state == VERDICT_VALID;
}

static gpointer
judge(gpointer data)
{
	struct judging *judging = data;

	for (;;) {
		guint i = (guint)g_atomic_int_add(&judging->next, 1);

		if (i >= judging->rivals->len || g_atomic_int_get(&judging->failed) != 0)
			return NULL;
		const struct bulk_rival *rival = g_ptr_array_index(judging->rivals, i);
		judging->usable[i] = rival->der != NULL && judge_one(judging, rival);
	}
}

static gboolean
judge_all(struct judging *judging, GError **error)
{
	g_autoptr(GPtrArray) threads = g_ptr_array_new();
	guint count =
	    judging->rivals->len < JUDGES_FROM ? 0 : MIN(g_get_num_processors(), JUDGES_MAX);

	for (guint i = 0; i < count; i++)
		g_ptr_array_add(threads, g_thread_new("judge", judge, judging));
	(void)judge(judging);
	for (guint i = 0; i < threads->len; i++)
		g_thread_join(g_ptr_array_index(threads, i));
	if (judging->failed == 0)
		return TRUE;
	return fail_false(error, PS_ERROR_TEMPORARY,
			  "certificates that are there already could not be looked at");
}

static void
mark(struct bulk_row *row, enum bulk_row_state state, char *why)
{
	g_free(row->why);
	row->state = state;
	row->why = why;
}

static void
apply(GPtrArray *rows, const struct judging *judging)
{
	g_autoptr(GHashTable) by_email = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; i < rows->len; i++) {
		struct bulk_row *row = g_ptr_array_index(rows, i);

		if (row->state == BULK_ROW_WAITING)
			g_hash_table_insert(by_email, row->email, row);
	}
	for (guint i = 0; i < judging->rivals->len; i++) {
		const struct bulk_rival *rival = g_ptr_array_index(judging->rivals, i);
		struct bulk_row *row = g_hash_table_lookup(by_email, rival->email);

		if (row == NULL || row->state == BULK_ROW_CERTIFIED)
			continue;
		if (judging->usable[i])
			mark(row, BULK_ROW_CERTIFIED,
			     g_strdup_printf("the address has a valid signing certificate, %.16s",
					     rival->thumbprint));
		else if (rival->request_id != 0)
			mark(row, BULK_ROW_UNDER_WAY,
			     g_strdup_printf("request %" G_GINT64_FORMAT
					     " for the address is not finished",
					     rival->request_id));
	}
}

static gboolean
find_rivals(const struct bulk_look *look, GPtrArray *rows, GError **error)
{
	g_autoptr(GPtrArray) emails = g_ptr_array_new();

	for (guint i = 0; i < rows->len; i++) {
		const struct bulk_row *row = g_ptr_array_index(rows, i);

		if (row->state == BULK_ROW_WAITING)
			g_ptr_array_add(emails, row->email);
	}
	g_autoptr(GPtrArray) rivals = bulk_rivals(look->db, (const char *const *)emails->pdata,
						  emails->len, look->now, error);
	CLEANUP(preference_set)
	struct preference_set *set =
	    rivals != NULL ? preferences_resolve(look->preferences, NULL, error) : NULL;
	if (set == NULL)
		return FALSE;
	g_autofree gboolean *usable = g_new0(gboolean, rivals->len + 1);
	struct judging judging = { .trust = look->trust,
				   .mode = trust_mode_of(set, TRUST_SIGN),
				   .rivals = rivals,
				   .usable = usable };
	if (!judge_all(&judging, error))
		return FALSE;
	apply(rows, &judging);
	return TRUE;
}

GPtrArray *
bulk_preview(const struct bulk_look *look, GBytes *bytes, const char *encoding, GError **error)
{
	const struct settings *settings = look->settings;
	const struct csv_limits limits = {
		.bytes = (gsize)settings->api_request_max,
		.rows = (guint)settings->bulk_rows_max,
		.characters = (guint)settings->bulk_value_max,
	};
	g_autoptr(GPtrArray) rows = bulk_file_read(bytes, encoding, &limits, error);

	if (rows == NULL || !find_rivals(look, rows, error))
		return NULL;
	return g_steal_pointer(&rows);
}

void
bulk_rows_count(GPtrArray *rows, struct bulk_counts *counts)
{
	*counts = (struct bulk_counts){ 0 };
	for (guint i = 0; i < rows->len; i++) {
		const struct bulk_row *row = g_ptr_array_index(rows, i);

		switch (row->state) {
		case BULK_ROW_WAITING:
		case BULK_ROW_REQUESTED:
			counts->waiting++;
			break;
		case BULK_ROW_FAILED:
			counts->failed++;
			break;
		case BULK_ROW_CANCELLED:
			counts->cancelled++;
			break;
		case BULK_ROW_BROKEN:
			counts->broken++;
			break;
		case BULK_ROW_DUPLICATE:
			counts->duplicate++;
			break;
		case BULK_ROW_CERTIFIED:
			counts->certified++;
			break;
		case BULK_ROW_UNDER_WAY:
			counts->under_way++;
			break;
		}
	}
}
