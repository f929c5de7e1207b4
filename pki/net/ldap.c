/*
 * ldap - one bounded conversation with one LDAP server, over libldap.
 *
 * libldap waits nowhere by itself: the socket is non-blocking once TLS stands, and every answer is
 * waited for with what is left of the time. The sockbuf refuses a message by its length, before it
 * takes memory for it.
 */
#include "pki/net/ldap_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openldap.h>
#include <string.h>
#include <unistd.h>

#include "pki/net/address_guard.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"
#include "store/base/secret.h"

#define TIMEOUT_MS 10000U
#define ENTRIES_MAX 10
#define VALUES_MAX 100
#define VALUE_MAX_BYTES (256 * 1024)
#define ANSWER_MAX_BYTES (4 * 1024 * 1024)
#define OVERHEAD_BYTES 4096 /* what an entry has besides its values */

/* What an administrator's host has as a bundle; libldap's GnuTLS knows none by itself. */
static const char *
system_ca_file(void)
{
	static const char *const files[] = {
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/cert.pem",
	};

	for (gsize i = 0; i < G_N_ELEMENTS(files); i++)
		if (access(files[i], R_OK) == 0)
			return files[i];
	return files[0];
}

static void
limits_fill(struct ldap_limits *limits, const struct ldap_limits *wanted)
{
	*limits = wanted != NULL ? *wanted : (struct ldap_limits){ 0 };
	if (limits->timeout_ms == 0)
		limits->timeout_ms = TIMEOUT_MS;
	if (limits->entries_max == 0)
		limits->entries_max = ENTRIES_MAX;
	if (limits->values_max == 0)
		limits->values_max = VALUES_MAX;
	if (limits->value_max_bytes == 0)
		limits->value_max_bytes = VALUE_MAX_BYTES;
	if (limits->answer_max_bytes == 0)
		limits->answer_max_bytes = ANSWER_MAX_BYTES;
}

/* ---- errors: our words for libldap's numbers, never the server's own ------------------------- */

gboolean
ldap_fail_code(const struct ldap_client *client, int code, const char *what, GError **error)
{
	enum ps_error kind = PS_ERROR_TEMPORARY;

	if (code == LDAP_REFERRAL)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: %s: it refers to another server, which is not followed",
				  client->name, what);
	if (code == LDAP_NO_SUCH_OBJECT || code == LDAP_INVALID_DN_SYNTAX)
		kind = PS_ERROR_NOT_FOUND;
	else if (LDAP_SECURITY_ERROR(code) || code == LDAP_STRONG_AUTH_REQUIRED ||
		 code == LDAP_CONFIDENTIALITY_REQUIRED || code == LDAP_UNWILLING_TO_PERFORM)
		kind = PS_ERROR_DENIED;
	else if (code == LDAP_DECODING_ERROR || code == LDAP_FILTER_ERROR ||
		 code == LDAP_PROTOCOL_ERROR || code == LDAP_PARAM_ERROR)
		kind = PS_ERROR_INVALID;
	return fail_false(error, kind, "%s: %s: %s", client->name, what, ldap_err2string(code));
}

gboolean
ldap_fail_late(const struct ldap_client *client, GError **error)
{
	return fail_false(error, PS_ERROR_TEMPORARY, "%s: no answer within %u ms", client->name,
			  client->limits.timeout_ms);
}

/* FALSE when there is none. */
gboolean
ldap_time_left(const struct ldap_client *client, struct timeval *left)
{
	gint64 us = client->deadline_us - clock_monotonic_us();

	if (us <= 0)
		return FALSE;
	left->tv_sec = us / G_USEC_PER_SEC;
	left->tv_usec = us % G_USEC_PER_SEC;
	return TRUE;
}

/* ---- connecting ------------------------------------------------------------------------------ */

/* Whom an administrator names may be anywhere. */
static int
connect_to(const struct address_guard *guard, const struct ldap_server *server, guint timeout_ms,
	   GError **error)
{
	static const char *const everywhere[] = { "0.0.0.0/0:*", "[::]/0:*", NULL };
	CLEANUP(address_guard) struct address_guard *open = NULL;

	if (guard == NULL)
		guard = open = address_guard_new(everywhere);
	return address_guard_connect(guard, server->host, server->port, timeout_ms, error);
}

static gboolean
set_text(LDAP *ld, int option, const char *value)
{
	return ldap_set_option(ld, option, value) == LDAP_OPT_SUCCESS;
}

static gboolean
set_int(LDAP *ld, int option, int value)
{
	return ldap_set_option(ld, option, &value) == LDAP_OPT_SUCCESS;
}

/* Everything that a configuration file of libldap could say otherwise. */
static gboolean
set_options(struct ldap_client *client, const struct ldap_server *server, GError **error)
{
	LDAP *ld = client->ld;
	const char *ca_file = server->ca_file != NULL ? server->ca_file : system_ca_file();
	ber_len_t incoming_max = client->limits.answer_max_bytes + OVERHEAD_BYTES;
	struct timeval left;
	Sockbuf *socket = NULL;

	if (!ldap_time_left(client, &left))
		return ldap_fail_late(client, error);
	if (!set_int(ld, LDAP_OPT_PROTOCOL_VERSION, LDAP_VERSION3) ||
	    ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF) != LDAP_OPT_SUCCESS ||
	    !set_int(ld, LDAP_OPT_DEREF, LDAP_DEREF_NEVER) ||
	    ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &left) != LDAP_OPT_SUCCESS ||
	    ldap_set_option(ld, LDAP_OPT_TIMEOUT, &left) != LDAP_OPT_SUCCESS ||
	    ldap_get_option(ld, LDAP_OPT_SOCKBUF, &socket) != LDAP_OPT_SUCCESS || socket == NULL ||
	    ber_sockbuf_ctrl(socket, LBER_SB_OPT_SET_MAX_INCOMING, &incoming_max) != 1)
		return fail_false(error, PS_ERROR_BUG, "libldap does not take an option");
	if (server->security == LDAP_SECURITY_NONE)
		return TRUE;
	if (access(ca_file, R_OK) != 0)
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: the CA file '%s' cannot be read: %s", client->name, ca_file,
				  g_strerror(errno));
	if (!set_int(ld, LDAP_OPT_X_TLS_REQUIRE_CERT, LDAP_OPT_X_TLS_DEMAND) ||
	    !set_int(ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, LDAP_OPT_X_TLS_PROTOCOL_TLS1_2) ||
	    !set_text(ld, LDAP_OPT_X_TLS_CACERTDIR, NULL) ||
	    !set_text(ld, LDAP_OPT_X_TLS_CERTFILE, NULL) ||
	    !set_text(ld, LDAP_OPT_X_TLS_KEYFILE, NULL) ||
	    !set_text(ld, LDAP_OPT_X_TLS_CACERTFILE, ca_file) ||
	    !set_int(ld, LDAP_OPT_X_TLS_NEWCTX, 0))
		return fail_false(error, PS_ERROR_INVALID,
				  "%s: TLS cannot be set up with the CA file '%s'", client->name,
				  ca_file);
	return TRUE;
}

static gboolean
attach(struct ldap_client *client, const struct ldap_server *server, int fd, GError **error)
{
	guint port = server->port;
	gboolean ipv6 = strchr(server->host, ':') != NULL;
	g_autofree char *url =
	    g_strdup_printf(ipv6 ? "ldap://[%s]:%u" : "ldap://%s:%u", server->host, port);
	int rc = ldap_init_fd(fd, LDAP_PROTO_TCP, url, &client->ld);

	if (rc == LDAP_SUCCESS)
		return TRUE;
	close(fd);
	client->ld = NULL;
	return ldap_fail_code(client, rc, "connecting", error);
}

/* One message of the answer. */
gboolean
ldap_receive(struct ldap_client *client, int id, LDAPMessage **message, GError **error)
{
	struct timeval left;
	int code = LDAP_SERVER_DOWN;
	int rc;

	if (!ldap_time_left(client, &left))
		return ldap_fail_late(client, error);
	rc = ldap_result(client->ld, id, LDAP_MSG_ONE, &left, message);
	if (rc > 0)
		return TRUE;
	if (rc == 0)
		return ldap_fail_late(client, error);
	ldap_get_option(client->ld, LDAP_OPT_RESULT_CODE, &code);
	if (code == LDAP_SERVER_DOWN)
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "%s: it breaks off, speaks no LDAP, or sends more than %zu bytes",
				  client->name, client->limits.answer_max_bytes);
	return ldap_fail_code(client, code, "waiting for the answer", error);
}

/* The result of an operation that has no other answer. */
gboolean
ldap_receive_result(struct ldap_client *client, int id, const char *what, GError **error)
{
	LDAPMessage *message = NULL;
	int code = LDAP_OTHER;
	int rc;

	if (!ldap_receive(client, id, &message, error))
		return FALSE;
	rc = ldap_parse_result(client->ld, message, &code, NULL, NULL, NULL, NULL, 1);
	if (rc == LDAP_SUCCESS && code == LDAP_SUCCESS)
		return TRUE;
	return ldap_fail_code(client, rc != LDAP_SUCCESS ? rc : code, what, error);
}

static gboolean
start_tls(struct ldap_client *client, const struct ldap_server *server, GError **error)
{
	int id = 0;
	int rc;

	if (server->security == LDAP_SECURITY_NONE)
		return TRUE;
	if (server->security == LDAP_SECURITY_STARTTLS) {
		rc = ldap_start_tls(client->ld, NULL, NULL, &id);
		if (rc != LDAP_SUCCESS)
			return ldap_fail_code(client, rc, "StartTLS", error);
		if (!ldap_receive_result(client, id, "StartTLS", error))
			return FALSE;
	}
	if (ldap_install_tls(client->ld) == LDAP_SUCCESS)
		return TRUE;
	return fail_false(error, PS_ERROR_TEMPORARY,
			  "%s: TLS could not be set up: its certificate has to name '%s' and to be "
			  "issued by a CA of %s",
			  client->name, server->host,
			  server->ca_file != NULL ? server->ca_file : "the system");
}

static gboolean
bind_simple(struct ldap_client *client, const struct ldap_server *server, GError **error)
{
	struct berval password;
	int id = 0;
	int rc;

	if (server->bind_dn == NULL)
		return TRUE;
	/* Without a password a server lets anybody in as nobody, and says so of no use. */
	if (server->password == NULL || secret_length(server->password) == 0)
		return fail_false(error, PS_ERROR_INVALID, "%s: the password of the bind is empty",
				  client->name);
	password.bv_val = (char *)secret_bytes(server->password);
	password.bv_len = secret_length(server->password);
	rc = ldap_sasl_bind(client->ld, server->bind_dn, LDAP_SASL_SIMPLE, &password, NULL, NULL,
			    &id);
	if (rc != LDAP_SUCCESS)
		return ldap_fail_code(client, rc, "binding", error);
	return ldap_receive_result(client, id, "binding", error);
}

static gboolean
set_non_blocking(struct ldap_client *client, int fd, GError **error)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0)
		return TRUE;
	return fail_false(error, PS_ERROR_TEMPORARY, "%s: the socket cannot be set up: %s",
			  client->name, g_strerror(errno));
}

/* libldap sets itself and its TLS library up at first use, and not for two threads at once. */
static gboolean
attach_alone(struct ldap_client *client, const struct ldap_server *server, int fd, GError **error)
{
	static GMutex lock;
	gboolean attached;

	g_mutex_lock(&lock);
	attached = attach(client, server, fd, error) && set_options(client, server, error);
	g_mutex_unlock(&lock);
	return attached;
}

static gboolean
converse(struct ldap_client *client, const struct ldap_server *server, int fd, GError **error)
{
	return attach_alone(client, server, fd, error) && set_non_blocking(client, fd, error) &&
	       start_tls(client, server, error) && set_non_blocking(client, fd, error) &&
	       bind_simple(client, server, error);
}

struct ldap_client *
ldap_client_open(const struct ldap_server *wanted, const struct address_guard *guard,
		 const struct ldap_limits *limits, GError **error)
{
	CLEANUP(ldap_client) struct ldap_client *client = g_new0(struct ldap_client, 1);
	struct ldap_server server = *wanted;
	int fd;

	if (server.port == 0)
		server.port =
		    server.security == LDAP_SECURITY_LDAPS ? LDAP_PORT_TLS : LDAP_PORT_PLAIN;
	client->name = printable(server.host);
	limits_fill(&client->limits, limits);
	client->deadline_us = clock_monotonic_us() + (gint64)client->limits.timeout_ms * 1000;
	if (server.bind_dn != NULL && server.security == LDAP_SECURITY_NONE)
		return fail(error, PS_ERROR_INVALID,
			    "%s: a password is not sent without TLS: use ldaps or StartTLS",
			    client->name);
	fd = connect_to(guard, &server, client->limits.timeout_ms, error);
	if (fd < 0 || !converse(client, &server, fd, error))
		return NULL;
	return g_steal_pointer(&client);
}

void
ldap_client_free(struct ldap_client *client)
{
	if (client == NULL)
		return;
	if (client->ld != NULL)
		ldap_unbind_ext(client->ld, NULL, NULL);
	g_free(client->name);
	g_free(client);
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void
value_free(gpointer data)
{
	struct ldap_value *value = data;

	g_free(value->attribute);
	g_bytes_unref(value->bytes);
	g_free(value);
}

void
ldap_answer_free(struct ldap_answer *answer)
{
	if (answer == NULL)
		return;
	g_ptr_array_unref(answer->values);
	g_free(answer);
}

/* An answer in the making. */
struct reading {
	struct ldap_client *client;
	const struct ldap_question *question;
	struct ldap_answer *answer;
	gsize bytes;
};

/* The name as it was asked for, in lower case; NULL: nobody asked. */
static char *
asked_attribute(const struct ldap_question *question, const struct berval *described)
{
	const char *option = memchr(described->bv_val, ';', described->bv_len);
	gsize length = option != NULL ? (gsize)(option - described->bv_val) : described->bv_len;

	for (guint i = 0; question->attributes[i] != NULL; i++)
		if (strlen(question->attributes[i]) == length &&
		    g_ascii_strncasecmp(question->attributes[i], described->bv_val, length) == 0)
			return g_ascii_strdown(described->bv_val, (gssize)length);
	return NULL;
}

/* A value that is too large is an error: what it is for would be missing without a word. */
static gboolean
take_value(struct reading *reading, const char *attribute, const struct berval *bytes,
	   GError **error)
{
	const struct ldap_limits *limits = &reading->client->limits;
	struct ldap_value *value;

	if (bytes->bv_len == 0)
		return TRUE;
	if (reading->answer->values->len >= limits->values_max) {
		reading->answer->truncated = TRUE;
		return TRUE;
	}
	if (bytes->bv_len > limits->value_max_bytes ||
	    bytes->bv_len > limits->answer_max_bytes - reading->bytes)
		return fail_false(error, PS_ERROR_INVALID, "%s: a value of %zu bytes is too large",
				  reading->client->name, (gsize)bytes->bv_len);
	reading->bytes += bytes->bv_len;
	value = g_new0(struct ldap_value, 1);
	value->attribute = g_strdup(attribute);
	value->bytes = g_bytes_new(bytes->bv_val, bytes->bv_len);
	g_ptr_array_add(reading->answer->values, value);
	return TRUE;
}

static gboolean
take_values(struct reading *reading, const struct berval *described, const struct berval *values,
	    GError **error)
{
	g_autofree char *attribute = asked_attribute(reading->question, described);

	for (gsize i = 0; attribute != NULL && values != NULL && values[i].bv_val != NULL; i++)
		if (!take_value(reading, attribute, &values[i], error))
			return FALSE;
	return TRUE;
}

static gboolean
take_entry(struct reading *reading, LDAPMessage *message, GError **error)
{
	struct ldap_client *client = reading->client;
	BerElement *ber = NULL;
	struct berval name;
	gboolean good = TRUE;
	int rc;

	if (reading->answer->entries >= client->limits.entries_max) {
		reading->answer->truncated = TRUE;
		return TRUE;
	}
	reading->answer->entries++;
	rc = ldap_get_dn_ber(client->ld, message, &ber, &name);
	while (good && rc == LDAP_SUCCESS) {
		struct berval described = { 0, NULL };
		struct berval *values = NULL;

		rc = ldap_get_attribute_ber(client->ld, message, ber, &described, &values);
		if (rc != LDAP_SUCCESS || described.bv_val == NULL)
			break;
		good = take_values(reading, &described, values, error);
		ber_memfree(values);
	}
	ber_free(ber, 0);
	return good &&
	       (rc == LDAP_SUCCESS || ldap_fail_code(client, rc, "reading an entry", error));
}

static gboolean
take_result(struct reading *reading, LDAPMessage *message, GError **error)
{
	int code = LDAP_OTHER;
	int rc = ldap_parse_result(reading->client->ld, message, &code, NULL, NULL, NULL, NULL, 0);

	if (rc != LDAP_SUCCESS)
		return ldap_fail_code(reading->client, rc, "searching", error);
	if (code == LDAP_SIZELIMIT_EXCEEDED)
		reading->answer->truncated = TRUE;
	else if (code != LDAP_SUCCESS)
		return ldap_fail_code(reading->client, code, "searching", error);
	return TRUE;
}

static gboolean
read_answer(struct reading *reading, int id, GError **error)
{
	gboolean done = FALSE;
	gboolean good = TRUE;

	while (good && !done) {
		LDAPMessage *message = NULL;

		if (!ldap_receive(reading->client, id, &message, error))
			return FALSE;
		switch (ldap_msgtype(message)) {
		case LDAP_RES_SEARCH_ENTRY:
			good = take_entry(reading, message, error);
			break;
		case LDAP_RES_SEARCH_REFERENCE:
			reading->answer->truncated = TRUE;
			break;
		case LDAP_RES_SEARCH_RESULT:
			good = take_result(reading, message, error);
			done = TRUE;
			break;
		default:
			break; /* RFC 4511 4.13: intermediate answers that nobody asked for */
		}
		ldap_msgfree(message);
		/* Whoever goes on sending beyond what was asked for is not read to the end. */
		done |= reading->answer->entries >= reading->client->limits.entries_max &&
			reading->answer->truncated;
	}
	return good;
}

/* Each attribute with and without ";binary". */
static GStrv
both_forms(const char *const *attributes)
{
	GPtrArray *both = g_ptr_array_new();

	for (guint i = 0; attributes[i] != NULL; i++) {
		g_ptr_array_add(both, g_strconcat(attributes[i], ";binary", NULL));
		g_ptr_array_add(both, g_strdup(attributes[i]));
	}
	g_ptr_array_add(both, NULL);
	return (GStrv)g_ptr_array_free(both, FALSE);
}

static int
scope_of(enum ldap_depth depth)
{
	switch (depth) {
	case LDAP_DEPTH_ONE:
		return LDAP_SCOPE_ONELEVEL;
	case LDAP_DEPTH_SUBTREE:
		return LDAP_SCOPE_SUBTREE;
	case LDAP_DEPTH_BASE:
		break;
	}
	return LDAP_SCOPE_BASE;
}

struct ldap_answer *
ldap_client_search(struct ldap_client *client, const struct ldap_question *question, GError **error)
{
	CLEANUP(ldap_answer) struct ldap_answer *answer = g_new0(struct ldap_answer, 1);
	struct reading reading = { client, question, answer, 0 };
	g_auto(GStrv) attributes = both_forms(question->attributes);
	struct timeval left;
	int id = 0;
	int rc;

	answer->values = g_ptr_array_new_with_free_func(value_free);
	if (!ldap_time_left(client, &left)) {
		ldap_fail_late(client, error);
		return NULL;
	}
	left.tv_sec++; /* the server counts in whole seconds */
	rc = ldap_search_ext(client->ld, question->base, scope_of(question->depth),
			     question->filter, attributes, 0, NULL, NULL, &left,
			     (int)client->limits.entries_max + 1, &id);
	if (rc != LDAP_SUCCESS) {
		ldap_fail_code(client, rc, "searching", error);
		return NULL;
	}
	if (!read_answer(&reading, id, error))
		return NULL;
	return g_steal_pointer(&answer);
}

GPtrArray *
ldap_fetch(const struct ldap_target *target, const char *const *attributes,
	   const struct address_guard *guard, const struct ldap_limits *limits, GError **error)
{
	const struct ldap_server server = {
		.host = target->host,
		.port = target->port,
		.security = target->tls ? LDAP_SECURITY_LDAPS : LDAP_SECURITY_NONE,
	};
	const struct ldap_question question = {
		.base = target->base,
		.depth = target->depth,
		.filter = target->filter,
		.attributes = target->attributes[0] != NULL
				  ? (const char *const *)target->attributes
				  : attributes,
	};

	if (target->host == NULL)
		return fail(error, PS_ERROR_NOT_FOUND, "the LDAP URL names no server");
	CLEANUP(ldap_client)
	struct ldap_client *client = ldap_client_open(&server, guard, limits, error);
	if (client == NULL)
		return NULL;
	CLEANUP(ldap_answer)
	struct ldap_answer *answer = ldap_client_search(client, &question, error);
	if (answer == NULL)
		return NULL;
	if (answer->values->len == 0)
		return fail(error, PS_ERROR_NOT_FOUND, "%s: nothing of what the URL names is there",
			    client->name);
	GPtrArray *values = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
	for (guint i = 0; i < answer->values->len; i++) {
		const struct ldap_value *value = g_ptr_array_index(answer->values, i);

		g_ptr_array_add(values, g_bytes_ref(value->bytes));
	}
	return values;
}
