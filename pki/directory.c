/*
 * directory - one thread a server, then one transaction.
 */
#include "pki/directory.h"

#include <string.h>

#include "pki/breaker.h"
#include "pki/crypto/cert.h"
#include "pki/directory_values.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "pki/net/ldap.h"
#include "pki/pending.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/db/tx.h"

#define FILTER_MAX_BYTES 4096

/* One server being asked; of its thread until that is joined. */
struct inquiry {
	const struct directory *directory;
	const struct directory_row *server;
	const struct mailaddr *address;
	gint64 now;
	struct directory_reply *reply;
	gboolean broken; /* the breaker counts it */
	gboolean probe;  /* ... and it is the one that tries again */
	GThread *thread;
};

void
directory_reply_free(struct directory_reply *reply)
{
	if (reply == NULL)
		return;
	g_free(reply->server);
	g_ptr_array_unref(reply->certs);
	g_free(reply->note);
	g_free(reply);
}

/* ---- filters -----------------------------------------------------------------------------------
 */

char *
directory_filter(const char *filter, const struct mailaddr *address)
{
	g_autofree char *escaped = ldap_filter_escape(mailaddr_key(address));
	g_auto(GStrv) pieces = g_strsplit(filter, "%s", -1);

	return g_strjoinv(escaped, pieces);
}

gboolean
directory_filter_check(const char *filter, GError **error)
{
	int depth = 0;
	gboolean placed = strstr(filter, "%s") != NULL;

	for (const char *c = filter; *c != '\0'; c++) {
		depth += (*c == '(') - (*c == ')');
		if ((guchar)*c < 0x20 || *c == 0x7f || depth < 0 || (depth == 0 && *c != ')'))
			return fail_false(error, PS_ERROR_INVALID,
					  "the filter's parentheses do not match");
		if (*c == '%' && c[1] != 's')
			return fail_false(error, PS_ERROR_INVALID,
					  "the filter holds a %% that is no %%s");
	}
	if (depth != 0 || *filter != '(')
		return fail_false(error, PS_ERROR_INVALID, "the filter's parentheses do not match");
	if (!placed)
		return fail_false(error, PS_ERROR_INVALID,
				  "the filter has no %%s where the address is to stand");
	return strlen(filter) <= FILTER_MAX_BYTES ||
	       fail_false(error, PS_ERROR_INVALID, "the filter has more than %d bytes",
			  FILTER_MAX_BYTES);
}

/* ---- one server --------------------------------------------------------------------------------
 */

static enum ldap_depth
depth_of(const struct directory_row *server)
{
	if (strcmp(server->depth, "base") == 0)
		return LDAP_DEPTH_BASE;
	return strcmp(server->depth, "one") == 0 ? LDAP_DEPTH_ONE : LDAP_DEPTH_SUBTREE;
}

/* What is not known is the strict one. */
static enum ldap_security
security_of(const struct directory_row *server)
{
	if (strcmp(server->security, "none") == 0)
		return LDAP_SECURITY_NONE;
	return strcmp(server->security, "starttls") == 0 ? LDAP_SECURITY_STARTTLS
							 : LDAP_SECURITY_LDAPS;
}

static struct ldap_answer *
search(const struct inquiry *inquiry, GError **error)
{
	const struct directory_row *row = inquiry->server;
	const struct ldap_limits limits = { .timeout_ms = DIRECTORY_TIMEOUT_MS };
	g_autofree char *filter = directory_filter(row->filter, inquiry->address);
	CLEANUP(secret) struct secret *password = NULL;
	const struct ldap_question question = {
		.base = row->base,
		.depth = depth_of(row),
		.filter = filter,
		.attributes = (const char *const *)row->attributes,
	};

	if (row->sealed != NULL) {
		password = keyring_unseal(inquiry->directory->keyring, "directory_server",
					  row->name, row->sealed, error);
		if (password == NULL)
			return NULL;
	}
	const struct ldap_server server = {
		.host = row->host,
		.port = (guint)row->port,
		.security = security_of(row),
		.ca_file = row->ca_file,
		.bind_dn = row->bind_dn,
		.password = password,
	};
	CLEANUP(ldap_client)
	struct ldap_client *client = ldap_client_open(&server, NULL, &limits, error);
	return client != NULL ? ldap_client_search(client, &question, error) : NULL;
}

/* None only where the server has said everything. */
static void
read_reply(const struct inquiry *inquiry, const struct ldap_answer *answer)
{
	struct directory_reply *reply = inquiry->reply;
	CLEANUP(directory_taken)
	struct directory_taken *taken =
	    directory_values_take(answer->values, inquiry->address, inquiry->now);

	for (guint i = 0; i < taken->certs->len; i++)
		g_ptr_array_add(reply->certs, cert_ref(taken->certs->pdata[i]));
	if (taken->certs->len > 0) {
		reply->outcome = DIRECTORY_FOUND;
		reply->note = g_strdup_printf("certificates for the address: %u, others: %u",
					      taken->certs->len, taken->refused);
	} else if (answer->truncated) {
		reply->outcome = DIRECTORY_FAILED;
		reply->note = g_strdup("it has more entries for the address than are read, or "
				       "refers to another server");
	} else {
		reply->outcome = DIRECTORY_NONE;
		reply->note =
		    taken->refused > 0
			? g_strdup_printf("no certificate that can be taken: %s", taken->why)
			: g_strdup("no certificate for the address");
	}
}

static gpointer
inquire(gpointer data)
{
	struct inquiry *inquiry = data;
	g_autoptr(GError) problem = NULL;
	CLEANUP(ldap_answer) struct ldap_answer *answer = search(inquiry, &problem);

	if (answer != NULL) {
		read_reply(inquiry, answer);
		return NULL;
	}
	inquiry->broken = TRUE;
	inquiry->reply->outcome = DIRECTORY_FAILED;
	inquiry->reply->note = g_strdup(problem->message);
	return NULL;
}

/* ---- the breaker -------------------------------------------------------------------------------
 */

struct state_change {
	struct inquiry *inquiry;
	gboolean before; /* asking for leave, else saying how it went */
	gboolean allowed;
};

static struct breaker
breaker_of(const struct directory_row *row)
{
	return (struct breaker){ row->failures, row->trips, row->open_until };
}

static gboolean
change_state(struct tx *tx, gpointer data, GError **error)
{
	struct state_change *change = data;
	const struct inquiry *inquiry = change->inquiry;
	gint64 pause = inquiry->directory->settings->directory_retry;
	CLEANUP(directory_row)
	struct directory_row *row = directories_lock(tx, inquiry->server->name, error);
	struct breaker breaker;
	gint64 now = tx_now(tx);

	if (row == NULL)
		return FALSE;
	breaker = breaker_of(row);
	if (change->before) {
		change->allowed = breaker_ask(&breaker, now);
	} else if (inquiry->broken) {
		if (inquiry->probe)
			breaker_probe_failed(&breaker, now, pause);
		else
			breaker_failed(&breaker, now, pause);
		row->failed = now;
		g_free(row->last_error);
		row->last_error = g_strdup(inquiry->reply->note);
	} else {
		breaker_worked(&breaker);
		row->answered = now;
	}
	row->failures = breaker.failures;
	row->trips = breaker.trips;
	row->open_until = breaker.open_until;
	return directories_save_state(tx, row, error);
}

/* A closed breaker is not written: the usual question costs no row. */
static gboolean
is_allowed(struct inquiry *inquiry, gboolean *allowed, GError **error)
{
	struct state_change change = { inquiry, TRUE, FALSE };
	struct breaker breaker = breaker_of(inquiry->server);

	switch (breaker_state(&breaker, inquiry->now)) {
	case BREAKER_CLOSED:
		*allowed = TRUE;
		return TRUE;
	case BREAKER_OPEN:
		*allowed = FALSE;
		return TRUE;
	case BREAKER_HALF_OPEN:
		break;
	}
	if (!db_transaction(inquiry->directory->db, change_state, &change, error))
		return FALSE;
	*allowed = inquiry->probe = change.allowed;
	return TRUE;
}

static gboolean
note_state(struct inquiry *inquiry, GError **error)
{
	struct state_change change = { inquiry, FALSE, FALSE };
	g_autoptr(GError) problem = NULL;

	if (inquiry->reply->not_asked)
		return TRUE;
	if (inquiry->broken)
		log_warning("a directory did not answer", "directory", inquiry->server->name,
			    "reason", inquiry->reply->note);
	else if (inquiry->server->failures == 0 && inquiry->server->answered != CLOCK_NEVER &&
		 inquiry->now - inquiry->server->answered < 60)
		return TRUE; /* nothing new: no row is written for each question */
	if (db_transaction(inquiry->directory->db, change_state, &change, &problem) ||
	    g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND)) /* removed meanwhile */
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&problem));
	return FALSE;
}

/* ---- all of them at once -----------------------------------------------------------------------
 */

static void
inquiry_free(gpointer data)
{
	struct inquiry *inquiry = data;

	if (inquiry->thread != NULL)
		g_thread_join(inquiry->thread);
	directory_reply_free(inquiry->reply);
	g_free(inquiry);
}

static struct inquiry *
inquiry_new(const struct directory *directory, const struct directory_row *server,
	    const struct mailaddr *address)
{
	struct inquiry *inquiry = g_new0(struct inquiry, 1);

	inquiry->directory = directory;
	inquiry->server = server;
	inquiry->address = address;
	inquiry->now = clock_now(directory->clock);
	inquiry->reply = g_new0(struct directory_reply, 1);
	inquiry->reply->server = g_strdup(server->name);
	inquiry->reply->outcome = DIRECTORY_FAILED;
	inquiry->reply->certs = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	return inquiry;
}

static void
inquire_all(GPtrArray *inquiries)
{
	for (guint i = 0; i < inquiries->len; i++) {
		struct inquiry *inquiry = inquiries->pdata[i];

		if (!inquiry->reply->not_asked)
			inquiry->thread = g_thread_try_new("directory", inquire, inquiry, NULL);
		if (inquiry->thread == NULL && !inquiry->reply->not_asked)
			inquire(inquiry);
	}
	for (guint i = 0; i < inquiries->len; i++) {
		struct inquiry *inquiry = inquiries->pdata[i];

		if (inquiry->thread != NULL)
			g_thread_join(g_steal_pointer(&inquiry->thread));
	}
}

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
	inquire_all(inquiries);
	replies = g_ptr_array_new_with_free_func((GDestroyNotify)directory_reply_free);
	for (guint i = 0; i < inquiries->len; i++) {
		struct inquiry *inquiry = inquiries->pdata[i];

		g_ptr_array_add(replies, g_steal_pointer(&inquiry->reply));
	}
	return replies;
}

/* ---- storing -----------------------------------------------------------------------------------
 */

struct arrival {
	struct cert *cert;
	const char *server;
	gboolean pending;
	char *why;
	gboolean is_new;
};

struct storing {
	GPtrArray *arrivals; /* struct arrival */
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

/* ---- the answer --------------------------------------------------------------------------------
 */

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

static gboolean
leave_out_open(GPtrArray *inquiries, GError **error)
{
	for (guint i = 0; i < inquiries->len; i++) {
		struct inquiry *inquiry = inquiries->pdata[i];
		gboolean allowed = FALSE;

		if (!is_allowed(inquiry, &allowed, error))
			return FALSE;
		inquiry->reply->not_asked = !allowed;
		if (!allowed)
			inquiry->reply->note = g_strdup_printf(
			    "not asked for a while, because it failed %d times in a row",
			    inquiry->server->failures);
	}
	return TRUE;
}

gboolean
directory_ask(const struct directory *directory, const struct mailaddr *address,
	      struct directory_answer_row **answer, GError **error)
{
	g_autoptr(GPtrArray) servers = directories_all(directory->db, error);
	g_autoptr(GPtrArray) arrivals = g_ptr_array_new_with_free_func(arrival_free);
	g_autoptr(GPtrArray) inquiries = NULL;
	struct storing storing = { arrivals, NULL };
	gboolean stored;

	*answer = NULL;
	if (servers == NULL)
		return FALSE;
	inquiries = inquiries_of(directory, servers, NULL, address);
	if (!leave_out_open(inquiries, error))
		return FALSE;
	inquire_all(inquiries);
	for (guint i = 0; i < inquiries->len; i++)
		if (!note_state(inquiries->pdata[i], error))
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
