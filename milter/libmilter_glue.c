/*
 * libmilter_glue - callbacks of a few lines over session.h, and the listening socket.
 */
#include "milter/libmilter_glue.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "milter/mta.h"
#include "milter/session.h"
#include "store/base/error.h"
#include "store/base/log.h"

#define REPLY_LINES_MAX 32
#define REPLY_LINE_MAX_BYTES 900 /* the library refuses 980 */
#define DESCRIPTORS_SCANNED 1024

/* What Postfix and Sendmail offer and we want; taken only where it is offered. */
#define WANTED_ACTIONS                                                                             \
	(SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY | SMFIF_ADDRCPT | SMFIF_ADDRCPT_PAR |       \
	 SMFIF_DELRCPT | SMFIF_QUARANTINE | SMFIF_CHGFROM | SMFIF_SETSYMLIST)
#define NEEDED_ACTIONS (SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_CHGBODY)
#define QUIET_STEPS                                                                                \
	(SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_DATA |           \
	 SMFIP_NR_UNKN | SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY)
#define SKIPPED_STEPS (SMFIP_NOHELO | SMFIP_NOUNKNOWN | SMFIP_NODATA)

struct connection {
	struct mta mta; /* first */
	SMFICTX *ctx;
	struct session *session;
	unsigned long steps; /* as negotiated */
	char reply_class;    /* '4' or '5' once a reply was given */
};

/* The library is one per process, and so is this. */
static const struct milter_options *server;
static gint connections_open;

/* ---- struct mta over a context of the library ---------------------------------------------- */

static SMFICTX *
context_of(struct mta *mta)
{
	return ((struct connection *)mta)->ctx;
}

/* Without the leading-space option the server puts a blank of its own before each value. */
static const char *
outgoing_value(struct mta *mta, const char *value)
{
	const struct connection *connection = (struct connection *)mta;

	if (value != NULL && (connection->steps & SMFIP_HDR_LEADSPC) == 0 && *value == ' ')
		return value + 1;
	return value;
}

static const char *
mta_macro(struct mta *mta, const char *name)
{
	return smfi_getsymval(context_of(mta), (char *)name);
}

static gboolean
mta_change_header(struct mta *mta, const char *name, guint occurrence, const char *value)
{
	return smfi_chgheader(context_of(mta), (char *)name, (int)occurrence,
			      (char *)outgoing_value(mta, value)) == MI_SUCCESS;
}

static gboolean
mta_insert_header(struct mta *mta, guint index, const char *name, const char *value)
{
	return smfi_insheader(context_of(mta), (int)index, (char *)name,
			      (char *)outgoing_value(mta, value)) == MI_SUCCESS;
}

static gboolean
mta_append_header(struct mta *mta, const char *name, const char *value)
{
	return smfi_addheader(context_of(mta), (char *)name, (char *)outgoing_value(mta, value)) ==
	       MI_SUCCESS;
}

static gboolean
mta_replace_body(struct mta *mta, gconstpointer bytes, gsize length)
{
	const unsigned char *at = bytes;

	do {
		gsize piece = MIN(length, MTA_CHUNK_MAX_BYTES);

		if (smfi_replacebody(context_of(mta), (unsigned char *)at, (int)piece) !=
		    MI_SUCCESS)
			return FALSE;
		at += piece;
		length -= piece;
	} while (length > 0);
	return TRUE;
}

static gboolean
mta_delete_recipient(struct mta *mta, const char *argument)
{
	return smfi_delrcpt(context_of(mta), (char *)argument) == MI_SUCCESS;
}

static gboolean
mta_add_recipient(struct mta *mta, const char *argument, const char *parameters)
{
	return smfi_addrcpt_par(context_of(mta), (char *)argument, (char *)parameters) ==
	       MI_SUCCESS;
}

static gboolean
mta_change_sender(struct mta *mta, const char *argument, const char *parameters)
{
	return smfi_chgfrom(context_of(mta), (char *)argument, (char *)parameters) == MI_SUCCESS;
}

static gboolean
mta_quarantine(struct mta *mta, const char *reason)
{
	return smfi_quarantine(context_of(mta), (char *)reason) == MI_SUCCESS;
}

static gboolean
mta_progress(struct mta *mta)
{
	return smfi_progress(context_of(mta)) == MI_SUCCESS;
}

/* A percent sign is doubled on the way (Sendmail's convention, which Postfix undoes). */
static char *
reply_line(const char *text)
{
	GString *line = g_string_new(NULL);

	for (; *text != '\0' && line->len < REPLY_LINE_MAX_BYTES; text++) {
		if (*text == '%')
			g_string_append(line, "%%");
		else
			g_string_append_c(line, (*text == '\r' || *text == '\n') ? ' ' : *text);
	}
	return g_string_free(line, FALSE);
}

static gboolean
mta_set_reply(struct mta *mta, const char *code, const char *status, const char *const *lines)
{
	struct connection *connection = (struct connection *)mta;
	char *l[REPLY_LINES_MAX] = { NULL };
	gsize count;
	int result;

	for (count = 0; lines[count] != NULL && count < REPLY_LINES_MAX; count++)
		l[count] = reply_line(lines[count]);
	result = smfi_setmlreply(connection->ctx, code, status, l[0], l[1], l[2], l[3], l[4], l[5],
				 l[6], l[7], l[8], l[9], l[10], l[11], l[12], l[13], l[14], l[15],
				 l[16], l[17], l[18], l[19], l[20], l[21], l[22], l[23], l[24],
				 l[25], l[26], l[27], l[28], l[29], l[30], l[31], (char *)NULL);
	for (gsize i = 0; i < count; i++)
		g_free(l[i]);
	if (result == MI_SUCCESS)
		connection->reply_class = code[0];
	return result == MI_SUCCESS;
}

static const struct mta_ops mta_ops = {
	.macro = mta_macro,
	.change_header = mta_change_header,
	.insert_header = mta_insert_header,
	.append_header = mta_append_header,
	.replace_body = mta_replace_body,
	.delete_recipient = mta_delete_recipient,
	.add_recipient = mta_add_recipient,
	.change_sender = mta_change_sender,
	.quarantine = mta_quarantine,
	.set_reply = mta_set_reply,
	.progress = mta_progress,
};

/* ---- callbacks ------------------------------------------------------------------------------ */

/*
 * Each callback may be called without a connection: an MTA that ends one session and begins the
 * next on the same socket (SMFIC_QUIT_NC) does not negotiate again. Such a session is deferred.
 *
 * No reply where the server agreed to wait for none. */
static sfsistat
go_on(const struct connection *connection, unsigned long quiet_step)
{
	return (connection->steps & quiet_step) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static void
ask_for_macros(SMFICTX *ctx)
{
	/* Each list has a macro that is never empty: without any the server sends no list, and
	 * the values of the message before would stay. */
	static const struct {
		int stage;
		const char *names;
	} wanted[] = {
		{ SMFIM_CONNECT, "j {daemon_name} {client_addr} {client_name}" },
		{ SMFIM_ENVFROM, "j i {auth_authen} {auth_type} {daemon_name} {client_addr}" },
		{ SMFIM_ENVRCPT, "j i" },
		{ SMFIM_EOH, "j i" },
		{ SMFIM_EOM, "j i" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(wanted); i++)
		(void)smfi_setsymlist(ctx, wanted[i].stage, (char *)wanted[i].names);
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long f2,
	     unsigned long f3, unsigned long *actions_out, unsigned long *steps_out,
	     unsigned long *f2_out, unsigned long *f3_out)
{
	struct connection *connection;

	(void)f2;
	(void)f3;
	*f2_out = *f3_out = 0;
	if ((actions & NEEDED_ACTIONS) != NEEDED_ACTIONS) {
		log_error("the mail server does not let a filter change header and body");
		return SMFIS_REJECT;
	}
	if ((guint)g_atomic_int_get(&connections_open) >=
	    __atomic_load_n(&server->connections_max, __ATOMIC_RELAXED)) {
		log_warning("too many connections, one more was turned away", "setting",
			    "milter_sessions_max");
		return SMFIS_REJECT;
	}
	*actions_out = actions & WANTED_ACTIONS;
	*steps_out = steps & (QUIET_STEPS | SKIPPED_STEPS | SMFIP_HDR_LEADSPC);
	connection = g_new0(struct connection, 1);
	connection->mta.ops = &mta_ops;
	connection->ctx = ctx;
	connection->steps = *steps_out;
	g_atomic_int_inc(&connections_open);
	smfi_setpriv(ctx, connection);
	if ((actions & SMFIF_SETSYMLIST) != 0)
		ask_for_macros(ctx);
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *name, _SOCK_ADDR *address)
{
	struct connection *connection = smfi_getpriv(ctx);
	char text[INET6_ADDRSTRLEN] = "";

	if (connection == NULL)
		return SMFIS_TEMPFAIL;
	if (address != NULL && address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)address)->sin_addr, text, sizeof text);
	else if (address != NULL && address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)address)->sin6_addr, text,
			  sizeof text);
	session_free(connection->session);
	connection->session =
	    session_new(server->handler, &connection->mta, name, *text != '\0' ? text : NULL);
	return go_on(connection, SMFIP_NR_CONN);
}

/* The session of a connection that may have come without CONNECT (a test tool does). */
static struct session *
session_of(struct connection *connection)
{
	if (connection->session == NULL)
		connection->session = session_new(server->handler, &connection->mta, NULL, NULL);
	return connection->session;
}

static sfsistat
on_mail(SMFICTX *ctx, char **arguments)
{
	struct connection *connection = smfi_getpriv(ctx);

	if (connection == NULL)
		return SMFIS_TEMPFAIL;
	connection->reply_class = 0;
	session_mail(session_of(connection), (const char *const *)arguments);
	return go_on(connection, SMFIP_NR_MAIL);
}

static sfsistat
on_rcpt(SMFICTX *ctx, char **arguments)
{
	struct connection *connection = smfi_getpriv(ctx);

	if (connection == NULL)
		return SMFIS_TEMPFAIL;
	session_rcpt(session_of(connection), (const char *const *)arguments);
	return go_on(connection, SMFIP_NR_RCPT);
}

static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct connection *connection = smfi_getpriv(ctx);

	if (connection == NULL)
		return SMFIS_TEMPFAIL;
	if ((connection->steps & SMFIP_HDR_LEADSPC) != 0) {
		session_header(session_of(connection), name, value);
	} else {
		g_autofree char *spaced = g_strconcat(" ", value, NULL);
		session_header(session_of(connection), name, spaced);
	}
	return go_on(connection, SMFIP_NR_HDR);
}

static sfsistat
on_end_of_header(SMFICTX *ctx)
{
	struct connection *connection = smfi_getpriv(ctx);

	if (connection == NULL)
		return SMFIS_TEMPFAIL;
	session_end_of_header(session_of(connection));
	return go_on(connection, SMFIP_NR_EOH);
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *bytes, size_t length)
{
	struct connection *connection = smfi_getpriv(ctx);

	if (connection == NULL)
		return SMFIS_TEMPFAIL;
	session_body(session_of(connection), bytes, length);
	return go_on(connection, SMFIP_NR_BODY);
}

static sfsistat
on_end_of_message(SMFICTX *ctx)
{
	struct connection *connection = smfi_getpriv(ctx);

	if (connection == NULL)
		return SMFIS_TEMPFAIL;
	switch (session_end_of_message(session_of(connection))) {
	case SESSION_CONTINUE:
		return SMFIS_CONTINUE;
	case SESSION_DISCARD:
		return SMFIS_DISCARD;
	case SESSION_REPLY:
		return connection->reply_class == '5' ? SMFIS_REJECT : SMFIS_TEMPFAIL;
	case SESSION_TEMPFAIL:
		break;
	}
	return SMFIS_TEMPFAIL;
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	struct connection *connection = smfi_getpriv(ctx);

	if (connection != NULL && connection->session != NULL)
		session_abort(connection->session);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct connection *connection = smfi_getpriv(ctx);

	if (connection == NULL)
		return SMFIS_CONTINUE;
	smfi_setpriv(ctx, NULL);
	session_free(connection->session);
	g_atomic_int_add(&connections_open, -1);
	g_free(connection);
	return SMFIS_CONTINUE;
}

/* ---- the listening socket ------------------------------------------------------------------- */

/* NULL: not a unix socket. */
static const char *
unix_path(const char *socket_name)
{
	return g_str_has_prefix(socket_name, "unix:/") ? socket_name + strlen("unix:") : NULL;
}

/* The library would take any word for a file in its folder, and any number for a port. */
static gboolean
is_socket_name(const char *name)
{
	const char *port;
	char *end;
	guint64 number;

	if (unix_path(name) != NULL)
		return TRUE;
	if (!g_str_has_prefix(name, "inet:") && !g_str_has_prefix(name, "inet6:"))
		return FALSE;
	port = strchr(name, ':') + 1;
	number = g_ascii_strtoull(port, &end, 10);
	return g_ascii_isdigit(*port) && number >= 1 && number <= G_MAXUINT16 && *end == '@' &&
	       end[1] != '\0';
}

/* A socket that nobody serves is left over from a crash; anything else is not ours to remove. */
static gboolean
remove_stale_socket(const char *path, GError **error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat status;
	int fd, result, reason;

	if (strlen(path) >= sizeof address.sun_path)
		return fail_false(error, PS_ERROR_INVALID,
				  "milter_socket: the path %s is longer than %zu bytes", path,
				  sizeof address.sun_path - 1);
	if (lstat(path, &status) != 0)
		return TRUE; /* nothing there, or opening it will say why */
	if (!S_ISSOCK(status.st_mode))
		return fail_false(error, PS_ERROR_INVALID,
				  "milter_socket: %s exists and is no socket", path);
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_false(error, PS_ERROR_TEMPORARY, "could not make a socket: %s",
				  g_strerror(errno));
	result = connect(fd, (struct sockaddr *)&address, sizeof address);
	reason = errno;
	close(fd);
	if (result == 0)
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "milter_socket: another program serves %s, stop it first", path);
	if (reason != ECONNREFUSED)
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "milter_socket: could not find out who serves %s: %s", path,
				  g_strerror(reason));
	if (unlink(path) != 0)
		return fail_false(error, PS_ERROR_DENIED,
				  "milter_socket: could not remove the dead socket %s: %s", path,
				  g_strerror(errno));
	return TRUE;
}

static gboolean
open_to_group(const char *path, GError **error)
{
	if (server->socket_group != NULL && *server->socket_group != '\0') {
		const struct group *group = getgrnam(server->socket_group);

		if (group == NULL)
			return fail_false(error, PS_ERROR_INVALID,
					  "milter_socket_group: there is no group %s",
					  server->socket_group);
		if (chown(path, (uid_t)-1, group->gr_gid) != 0)
			return fail_false(error, PS_ERROR_DENIED,
					  "could not give the socket %s to the group %s: %s", path,
					  server->socket_group, g_strerror(errno));
	}
	if (chmod(path, server->socket_mode) != 0)
		return fail_false(error, PS_ERROR_DENIED,
				  "could not set the mode of the socket %s: %s", path,
				  g_strerror(errno));
	return TRUE;
}

/*
 * The library keeps its listening descriptor to itself. On Linux accepted sockets inherit
 * TCP_NODELAY from it, and without that each answer waits 40 ms for a delayed acknowledgement.
 */
static void
set_no_delay(void)
{
	for (int fd = 0; fd < DESCRIPTORS_SCANNED; fd++) {
		struct sockaddr_storage address;
		socklen_t length = sizeof address, size = sizeof(int);
		int listening = 0, on = 1;

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 ||
		    !listening || getsockname(fd, (struct sockaddr *)&address, &length) != 0)
			continue;
		if (address.ss_family == AF_INET || address.ss_family == AF_INET6)
			(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
}

static gboolean
register_callbacks(GError **error)
{
	struct smfiDesc description = {
		.xxfi_name = (char *)"postseal",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = WANTED_ACTIONS,
		.xxfi_connect = on_connect,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_rcpt,
		.xxfi_header = on_header,
		.xxfi_eoh = on_end_of_header,
		.xxfi_body = on_body,
		.xxfi_eom = on_end_of_message,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};

	if (smfi_register(description) != MI_SUCCESS)
		return fail_false(error, PS_ERROR_BUG, "libmilter refuses to register");
	return TRUE;
}

gboolean
milter_listen(const struct milter_options *options, GError **error)
{
	const char *path = unix_path(options->socket);
	mode_t mask;
	int result;

	server = options;
	if (!is_socket_name(options->socket))
		return fail_false(error, PS_ERROR_INVALID,
				  "milter_socket: \"%s\" is neither unix:/PATH nor inet:PORT@HOST",
				  options->socket);
	if (path != NULL && !remove_stale_socket(path, error))
		return FALSE;
	if (!register_callbacks(error))
		return FALSE;
	(void)smfi_setmaxdatasize(options->packet_max_bytes);
	(void)smfi_settimeout((int)options->timeout_seconds);
	if (smfi_setconn((char *)options->socket) != MI_SUCCESS)
		return fail_false(error, PS_ERROR_INVALID, "milter_socket: cannot use \"%s\"",
				  options->socket);
	mask = umask(0177); /* nobody connects before mode and group are right */
	result = smfi_opensocket(false);
	umask(mask);
	if (result != MI_SUCCESS)
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "milter_socket: could not listen on \"%s\": %s", options->socket,
				  g_strerror(errno));
	set_no_delay();
	return path == NULL || open_to_group(path, error);
}

gboolean
milter_run(GError **error)
{
	if (smfi_main() != MI_SUCCESS)
		return fail_false(error, PS_ERROR_TEMPORARY,
				  "libmilter stopped serving \"%s\", see the log", server->socket);
	return TRUE;
}

void
milter_close_door(void)
{
	const char *path = unix_path(server->socket);

	if (path != NULL)
		(void)unlink(path);
}

guint
milter_connections(void)
{
	return (guint)g_atomic_int_get(&connections_open);
}
