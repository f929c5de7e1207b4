/*
 * directory - one thread a server, then one transaction.
 */
#include "pki/directory.h"

#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/directory_inquiry.h"
#include "pki/directory_values.h"
#include "pki/import.h"
#include "pki/pending.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/db/tx.h"

static gboolean
serves(const struct directory_row *server, const char *only, const struct mailaddr *address)
{
	if (only != NULL)
		return strcmp(server->name, only) == 0;
	return directories_cover((const char *const *)server->domains, mailaddr_domain(address));
}

static GPtrArray *
inquiries_of(const struct directory *directory, const GPtrArray *servers, const char *only,
	     const struct mailaddr *address)
{
	GPtrArray *inquiries = g_ptr_array_new_with_free_func(inquiry_free);

	for (guint i = 0; i < servers->len; i++)
		if (serves(servers->pdata[i], only, address))
			g_ptr_array_add(inquiries,
					inquiry_new(directory, servers->pdata[i], address));
	return inquiries;
}

GPtrArray *
directory_try(const struct directory *directory, const char *only, const struct mailaddr *address,
	      GError **error)
{
	g_autoptr(GPtrArray) servers = directories_all(directory->db, error);
	g_autoptr(GPtrArray) inquiries = NULL;
	GPtrArray *replies;

	if (servers == NULL)
		return NULL;
	inquiries = inquiries_of(directory, servers, only, address);
	if (inquiries->len == 0)
		return only != NULL
			   ? fail(error, PS_ERROR_NOT_FOUND, "there is no directory '%s'", only)
			   : fail(error, PS_ERROR_NOT_FOUND, "no directory serves the domain %s",
				  mailaddr_domain(address));
	inquiry_run(inquiries);
	replies = g_ptr_array_new_with_free_func((GDestroyNotify)directory_reply_free);
	for (guint i = 0; i < inquiries->len; i++) {
		struct inquiry *inquiry = inquiries->pdata[i];

		g_ptr_array_add(replies, g_steal_pointer(&inquiry->reply));
	}
	return replies;
}

/* ---- storing --------------------------------------------------------------------------------- */

struct arrival {
	struct cert *cert;
	const char *server;
	gboolean pending;
	char *why;
	gboolean is_new;
};

struct storing {
	GPtrArray *arrivals; /* struct arrival */
	const char *stamp;   /* of the servers that were asked */
	struct directory_answer_row *answer;
};

static void
arrival_free(gpointer data)
{
	struct arrival *arrival = data;

	cert_unref(arrival->cert);
	g_free(arrival->why);
	g_free(arrival);
}

static gboolean
is_known(const GPtrArray *arrivals, const GPtrArray *rows, const struct cert *cert)
{
	for (guint i = 0; i < arrivals->len; i++) {
		const struct arrival *arrival = arrivals->pdata[i];

		if (cert_equal(arrival->cert, cert))
			return TRUE;
	}
	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = rows->pdata[i];

		if (strcmp(row->thumbprint, cert_thumbprint(cert)) == 0)
			return TRUE;
	}
	return FALSE;
}

/* How many more of directories there may be for this address. */
static guint
room_of(const GPtrArray *rows, gint64 now)
{
	guint there = 0;

	for (guint i = 0; i < rows->len; i++) {
		const struct cert_row *row = rows->pdata[i];

		there += strcmp(row->origin, "directory") == 0 && row->not_after >= now;
	}
	return there < DIRECTORY_CERTS_MAX ? DIRECTORY_CERTS_MAX - there : 0;
}

static gboolean
judge_arrivals(const struct directory *directory, GPtrArray *arrivals, GError **error)
{
	const struct pending_judge judge = { directory->db, directory->clock, directory->trust,
					     directory->preferences };

	for (guint i = 0; i < arrivals->len; i++) {
		struct arrival *arrival = arrivals->pdata[i];

		if (!pending_judge(&judge, arrival->cert, &arrival->pending, &arrival->why, error))
			return FALSE;
	}
	return TRUE;
}

/* New ones of all servers, in their order, as far as there is room. */
static gboolean
collect_arrivals(const struct directory *directory, const GPtrArray *inquiries,
		 const struct mailaddr *address, GPtrArray *arrivals, GError **error)
{
	const char *const keys[] = { mailaddr_key(address) };
	g_autoptr(GPtrArray) rows = certs_by_emails(directory->db, keys, 1, error);
	guint room;

	if (rows == NULL)
		return FALSE;
	room = room_of(rows, clock_now(directory->clock));
	for (guint i = 0; i < inquiries->len; i++) {
		const struct inquiry *inquiry = inquiries->pdata[i];

		for (guint k = 0; k < inquiry->reply->certs->len && arrivals->len < room; k++) {
			struct cert *cert = inquiry->reply->certs->pdata[k];

			if (is_known(arrivals, rows, cert))
				continue;
			struct arrival *arrival = g_new0(struct arrival, 1);
			arrival->cert = cert_ref(cert);
			arrival->server = inquiry->server->name;
			g_ptr_array_add(arrivals, arrival);
		}
	}
	return judge_arrivals(directory, arrivals, error);
}

static gboolean
store(struct tx *tx, gpointer data, GError **error)
{
	struct storing *storing = data;
	gboolean unchanged = FALSE;

	if (!directories_unchanged(tx, storing->stamp, &unchanged, error))
		return FALSE;
	if (!unchanged) {
		/* Nothing that was said before counts after a change: ask again. */
		storing->answer->outcome = DIRECTORY_FAILED;
		storing->answer->good_until = storing->answer->asked;
	}
	for (guint i = 0; i < storing->arrivals->len; i++) {
		struct arrival *arrival = storing->arrivals->pdata[i];
		const struct import_options options = {
			.name = arrival->server,
			.origin = "directory",
			.pending = arrival->pending,
		};

		if (!import_cert(tx, arrival->cert, &options, &arrival->is_new, error))
			return FALSE;
	}
	return directories_save_answer(tx, storing->answer, error);
}

static void
log_arrivals(const GPtrArray *arrivals, const struct mailaddr *address)
{
	for (guint i = 0; i < arrivals->len; i++) {
		const struct arrival *arrival = arrivals->pdata[i];

		if (arrival->is_new && arrival->pending)
			log_warning("a certificate of a directory waits: see 'cert list --pending'",
				    "address", mailaddr_key(address), "directory", arrival->server,
				    "thumbprint", cert_thumbprint(arrival->cert), "reason",
				    arrival->why);
		else if (arrival->is_new)
			log_info("a certificate came from a directory", "address",
				 mailaddr_key(address), "directory", arrival->server, "thumbprint",
				 cert_thumbprint(arrival->cert));
	}
}

/* ---- the answer ------------------------------------------------------------------------------ */

static gint64
keep_of(const struct directory *directory, enum directory_outcome outcome)
{
	switch (outcome) {
	case DIRECTORY_FOUND:
		return directory->settings->directory_keep;
	case DIRECTORY_NONE:
		return directory->settings->directory_keep_none;
	case DIRECTORY_FAILED:
		break;
	}
	return directory->settings->directory_retry;
}

/* Found by one is found; none only when all say so. */
static struct directory_answer_row *
answer_of(const struct directory *directory, const GPtrArray *inquiries,
	  const struct mailaddr *address)
{
	struct directory_answer_row *answer = g_new0(struct directory_answer_row, 1);
	g_autoptr(GString) note = g_string_new(NULL);
	gboolean found = FALSE, failed = FALSE;

	for (guint i = 0; i < inquiries->len; i++) {
		const struct directory_reply *reply =
		    ((const struct inquiry *)inquiries->pdata[i])->reply;

		found |= reply->outcome == DIRECTORY_FOUND;
		failed |= reply->outcome == DIRECTORY_FAILED;
		g_string_append_printf(note, "%sdirectory %s: %s", i > 0 ? "; " : "", reply->server,
				       reply->note);
	}
	if (inquiries->len == 0)
		g_string_append(note, "no directory serves this domain");
	answer->email = g_strdup(mailaddr_key(address));
	answer->outcome = found ? DIRECTORY_FOUND : failed ? DIRECTORY_FAILED : DIRECTORY_NONE;
	answer->note = g_string_free(g_steal_pointer(&note), FALSE);
	answer->asked = clock_now(directory->clock);
	answer->good_until = answer->asked + keep_of(directory, answer->outcome);
	return answer;
}

gboolean
directory_ask(const struct directory *directory, const struct mailaddr *address,
	      struct directory_answer_row **answer, GError **error)
{
	g_autofree char *stamp = directories_stamp(directory->db, error);
	g_autoptr(GPtrArray) servers = stamp != NULL ? directories_all(directory->db, error) : NULL;
	g_autoptr(GPtrArray) arrivals = g_ptr_array_new_with_free_func(arrival_free);
	g_autoptr(GPtrArray) inquiries = NULL;
	struct storing storing = { arrivals, stamp, NULL };
	gboolean stored;

	*answer = NULL;
	if (servers == NULL)
		return FALSE;
	inquiries = inquiries_of(directory, servers, NULL, address);
	for (guint i = 0; i < inquiries->len; i++)
		if (!inquiry_allow(inquiries->pdata[i], error))
			return FALSE;
	inquiry_run(inquiries);
	for (guint i = 0; i < inquiries->len; i++)
		if (!inquiry_note_state(inquiries->pdata[i], error))
			return FALSE;
	if (!collect_arrivals(directory, inquiries, address, arrivals, error))
		return FALSE;
	storing.answer = answer_of(directory, inquiries, address);
	stored = db_transaction(directory->db, store, &storing, error);
	if (stored) {
		log_arrivals(arrivals, address);
		*answer = g_steal_pointer(&storing.answer);
	}
	directory_answer_row_free(storing.answer);
	return stored;
}
