/* directory_inquiry - see directory_inquiry.h. */
#include "pki/directory_inquiry.h"

#include <string.h>

#include "pki/breaker.h"
#include "pki/crypto/cert.h"
#include "pki/directory_values.h"
#include "pki/keyring.h"
#include "pki/net/ldap.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/log.h"
#include "store/config/settings.h"
#include "store/db/tx.h"

#define FILTER_MAX_BYTES 4096
#define QUIET_SECONDS 60 /* a server that answers all the time is written down that often */

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

/* ---- filters --------------------------------------------------------------------------------- */

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

/* ---- one server ------------------------------------------------------------------------------ */

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

/* ---- the breaker ----------------------------------------------------------------------------- */

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

gboolean
inquiry_allow(struct inquiry *inquiry, GError **error)
{
	gboolean allowed = FALSE;

	if (!is_allowed(inquiry, &allowed, error))
		return FALSE;
	inquiry->reply->not_asked = !allowed;
	if (!allowed)
		inquiry->reply->note =
		    g_strdup_printf("not asked for a while, because it failed %d times in a row",
				    inquiry->server->failures);
	return TRUE;
}

gboolean
inquiry_note_state(struct inquiry *inquiry, GError **error)
{
	struct state_change change = { inquiry, FALSE, FALSE };
	g_autoptr(GError) problem = NULL;

	if (inquiry->reply->not_asked)
		return TRUE;
	if (inquiry->broken)
		log_warning("a directory did not answer", "directory", inquiry->server->name,
			    "reason", inquiry->reply->note);
	else if (inquiry->server->failures == 0 && inquiry->server->answered != CLOCK_NEVER &&
		 inquiry->now - inquiry->server->answered < QUIET_SECONDS)
		return TRUE; /* nothing new: no row is written for each question */
	if (db_transaction(inquiry->directory->db, change_state, &change, &problem) ||
	    g_error_matches(problem, PS_ERROR, PS_ERROR_NOT_FOUND)) /* removed meanwhile */
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&problem));
	return FALSE;
}

/* ---- all of them at once --------------------------------------------------------------------- */

void
inquiry_free(gpointer data)
{
	struct inquiry *inquiry = data;

	if (inquiry->thread != NULL)
		g_thread_join(inquiry->thread);
	directory_reply_free(inquiry->reply);
	g_free(inquiry);
}

struct inquiry *
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

void
inquiry_run(GPtrArray *inquiries)
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
