/* smtp_server - see smtp_server.h. */
#include "tests/support/smtp_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct smtp_server {
	int listening;
	char *address, *path;
	GThread *thread;
	GMutex mutex;
	GPtrArray *clients; /* of GThread * */
	GArray *sockets;    /* of int, open ones */
	gboolean stopping;
	char *extensions;
	const struct smtp_step *steps;
	guint counts[SMTP_STAGES];
	guint queue_ids;
	GPtrArray *taken;
	void (*hook)(gpointer data, enum smtp_stage stage, guint nth);
	gpointer hook_data;
};

struct client {
	struct smtp_server *server;
	int fd;
	char buffer[65536];
	gsize used;
	struct smtp_taken *open;
};

static void
taken_free(gpointer data)
{
	struct smtp_taken *taken = data;

	if (taken == NULL)
		return;
	g_free(taken->mail);
	g_ptr_array_unref(taken->rcpt);
	g_string_free(taken->content, TRUE);
	g_free(taken);
}

static struct smtp_taken *
taken_new(const char *mail)
{
	struct smtp_taken *taken = g_new0(struct smtp_taken, 1);

	taken->mail = g_strdup(mail);
	taken->rcpt = g_ptr_array_new_with_free_func(g_free);
	taken->content = g_string_new(NULL);
	return taken;
}

static gboolean
send_all(int fd, const char *text)
{
	gsize length = strlen(text);

	return send(fd, text, length, MSG_NOSIGNAL) == (gssize)length;
}

static gboolean
send_slowly(int fd, const char *text)
{
	for (; *text != '\0'; text++) {
		if (send(fd, text, 1, MSG_NOSIGNAL) != 1)
			return FALSE;
		g_usleep(10000);
	}
	return TRUE;
}

/* Without its line end; FALSE: the client is gone. */
static gboolean
read_line(struct client *client, GString *line)
{
	for (;;) {
		char *end = memchr(client->buffer, '\n', client->used);
		gssize n;

		if (end != NULL) {
			gsize length = (gsize)(end - client->buffer);

			g_string_truncate(line, 0);
			g_string_append_len(line, client->buffer, (gssize)length);
			client->used -= length + 1;
			memmove(client->buffer, end + 1, client->used);
			return TRUE;
		}
		if (client->used == sizeof client->buffer)
			return FALSE;
		n = recv(client->fd, client->buffer + client->used,
			 sizeof client->buffer - client->used, 0);
		if (n <= 0)
			return FALSE;
		client->used += (gsize)n;
	}
}

static const struct smtp_step *
step_for(struct smtp_server *server, enum smtp_stage stage, const char *line)
{
	const struct smtp_step *found = NULL;
	guint nth;

	g_mutex_lock(&server->mutex);
	nth = ++server->counts[stage];
	for (const struct smtp_step *step = server->steps;
	     step != NULL && found == NULL && step->stage != SMTP_STAGES; step++)
		if (step->stage == stage && (step->nth == 0 || step->nth == nth) &&
		    (step->with == NULL || strstr(line, step->with) != NULL))
			found = step;
	g_mutex_unlock(&server->mutex);
	if (server->hook != NULL)
		server->hook(server->hook_data, stage, nth);
	return found;
}

static void
wait_for_end(struct client *client)
{
	char byte;

	while (recv(client->fd, &byte, 1, 0) > 0)
		;
}

/* What will be answered; text is borrowed from the script or from `usual`. */
struct decision {
	enum smtp_act act;
	const char *text;
	char code; /* its class */
};

static struct decision
decide(struct client *client, enum smtp_stage stage, const char *line, const char *usual)
{
	const struct smtp_step *step = step_for(client->server, stage, line);
	struct decision decision = { SMTP_ANSWER, usual, usual[0] };

	if (step != NULL) {
		decision.act = step->act;
		decision.text = step->answer != NULL ? step->answer : usual;
		decision.code = decision.text[0];
	}
	return decision;
}

/* FALSE: the connection is over. */
static gboolean
give(struct client *client, const struct decision *decision)
{
	switch (decision->act) {
	case SMTP_ANSWER:
		return send_all(client->fd, decision->text);
	case SMTP_ANSWER_CUT:
		(void)send_all(client->fd, decision->text);
		return FALSE;
	case SMTP_CUT:
	case SMTP_TAKE_CUT:
		return FALSE;
	case SMTP_SILENT:
		wait_for_end(client);
		return FALSE;
	case SMTP_SLOW:
		return send_slowly(client->fd, decision->text);
	}
	return FALSE;
}

static gboolean
answer(struct client *client, enum smtp_stage stage, const char *line, const char *usual,
       char *code, enum smtp_act *act)
{
	struct decision decision = decide(client, stage, line, usual);
	/* A client that has heard enough goes on, and the test may free what is still being said.
	 */
	g_autofree char *text = g_strdup(decision.text);

	decision.text = text;
	*code = decision.code;
	*act = decision.act;
	return give(client, &decision);
}

static void
keep(struct client *client)
{
	g_mutex_lock(&client->server->mutex);
	g_ptr_array_add(client->server->taken, g_steal_pointer(&client->open));
	g_mutex_unlock(&client->server->mutex);
}

static gboolean
take_content(struct client *client)
{
	g_autoptr(GString) line = g_string_new(NULL);
	const struct smtp_step *step = step_for(client->server, SMTP_AT_CONTENT, "");
	g_autofree char *usual = NULL;
	struct decision decision;

	if (step != NULL) {
		if (step->act == SMTP_SILENT)
			wait_for_end(client);
		return FALSE;
	}
	for (;;) {
		const char *start;

		if (!read_line(client, line))
			return FALSE;
		if (strcmp(line->str, ".\r") == 0 && line->len == 2)
			break;
		start = line->str[0] == '.' ? line->str + 1 : line->str;
		g_string_append_len(client->open->content, start,
				    (gssize)line->len - (start - line->str));
		g_string_append_c(client->open->content, '\n');
	}
	usual = g_strdup_printf("250 2.0.0 Ok: queued as Q%u\r\n",
				g_atomic_int_add(&client->server->queue_ids, 1) + 1);
	/* As a good server does: it has the message before it says so. */
	decision = decide(client, SMTP_AT_END, "", usual);
	if (decision.act == SMTP_TAKE_CUT ||
	    (decision.code == '2' && decision.act != SMTP_CUT && decision.act != SMTP_SILENT))
		keep(client);
	else
		g_clear_pointer(&client->open, taken_free);
	return give(client, &decision);
}

static gboolean
serve_command(struct client *client, const char *line)
{
	g_autofree char *ehlo = NULL;
	enum smtp_act act;
	char code;

	if (g_str_has_prefix(line, "EHLO ")) {
		GString *text = g_string_new("250-test.example\r\n");
		g_auto(GStrv) extensions = g_strsplit(client->server->extensions, "\n", -1);

		for (guint i = 0; extensions[i] != NULL; i++)
			g_string_append_printf(text, "250-%s\r\n", extensions[i]);
		g_string_append(text, "250 HELP\r\n");
		ehlo = g_string_free(text, FALSE);
		return answer(client, SMTP_AT_EHLO, line, ehlo, &code, &act);
	}
	if (g_str_has_prefix(line, "MAIL ")) {
		gboolean goes_on =
		    answer(client, SMTP_AT_MAIL, line,
			   client->open != NULL ? "503 5.5.1 nested MAIL\r\n" : "250 2.1.0 Ok\r\n",
			   &code, &act);

		if (code == '2' && client->open == NULL)
			client->open = taken_new(line + 5);
		return goes_on;
	}
	if (g_str_has_prefix(line, "RCPT ")) {
		gboolean goes_on =
		    answer(client, SMTP_AT_RCPT, line,
			   client->open == NULL ? "503 5.5.1 need MAIL\r\n" : "250 2.1.5 Ok\r\n",
			   &code, &act);

		if (code == '2' && client->open != NULL)
			g_ptr_array_add(client->open->rcpt, g_strdup(line + 5));
		return goes_on;
	}
	if (g_str_has_prefix(line, "RSET")) {
		g_clear_pointer(&client->open, taken_free);
		return answer(client, SMTP_AT_RSET, line, "250 2.0.0 Ok\r\n", &code, &act);
	}
	if (g_str_has_prefix(line, "DATA")) {
		gboolean goes_on = answer(client, SMTP_AT_DATA, line,
					  client->open == NULL || client->open->rcpt->len == 0
					      ? "503 5.5.1 need RCPT\r\n"
					      : "354 go on\r\n",
					  &code, &act);

		return goes_on && (code != '3' || take_content(client));
	}
	(void)send_all(client->fd, "221 2.0.0 Bye\r\n");
	return FALSE;
}

static gpointer
client_thread(gpointer data)
{
	struct client *client = data;
	g_autoptr(GString) line = g_string_new(NULL);
	enum smtp_act act;
	char code;

	if (answer(client, SMTP_AT_CONNECT, "", "220 test.example ESMTP\r\n", &code, &act))
		while (read_line(client, line)) {
			if (line->len > 0 && line->str[line->len - 1] == '\r')
				g_string_truncate(line, line->len - 1);
			if (!serve_command(client, line->str))
				break;
		}
	g_mutex_lock(&client->server->mutex);
	for (guint i = 0; i < client->server->sockets->len; i++)
		if (g_array_index(client->server->sockets, int, i) == client->fd) {
			g_array_remove_index_fast(client->server->sockets, i);
			break;
		}
	close(client->fd);
	g_mutex_unlock(&client->server->mutex);
	taken_free(client->open);
	g_free(client);
	return NULL;
}

static gpointer
accept_thread(gpointer data)
{
	struct smtp_server *server = data;

	for (;;) {
		int fd = accept4(server->listening, NULL, NULL, SOCK_CLOEXEC);
		struct client *client;

		if (fd < 0)
			return NULL;
		client = g_new0(struct client, 1);
		client->server = server;
		client->fd = fd;
		g_mutex_lock(&server->mutex);
		g_array_append_val(server->sockets, fd);
		g_ptr_array_add(server->clients, g_thread_new("client", client_thread, client));
		g_mutex_unlock(&server->mutex);
	}
}

static void
listen_inet(struct smtp_server *server)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	socklen_t length = sizeof to;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	server->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(bind(server->listening, (struct sockaddr *)&to, sizeof to), ==, 0);
	g_assert_cmpint(getsockname(server->listening, (struct sockaddr *)&to, &length), ==, 0);
	server->address = g_strdup_printf("127.0.0.1:%u", ntohs(to.sin_port));
}

static void
listen_unix(struct smtp_server *server)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	g_strlcpy(to.sun_path, server->path, sizeof to.sun_path);
	server->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	g_assert_cmpint(bind(server->listening, (struct sockaddr *)&to, sizeof to), ==, 0);
	server->address = g_strconcat("unix:", server->path, NULL);
}

struct smtp_server *
smtp_server_start(const char *path)
{
	struct smtp_server *server = g_new0(struct smtp_server, 1);

	g_mutex_init(&server->mutex);
	server->path = g_strdup(path);
	server->clients = g_ptr_array_new();
	server->sockets = g_array_new(FALSE, FALSE, sizeof(int));
	server->taken = g_ptr_array_new_with_free_func(taken_free);
	smtp_server_offer(server, NULL);
	if (path != NULL)
		listen_unix(server);
	else
		listen_inet(server);
	g_assert_cmpint(listen(server->listening, 64), ==, 0);
	server->thread = g_thread_new("smtp server", accept_thread, server);
	return server;
}

void
smtp_server_stop(struct smtp_server *server)
{
	shutdown(server->listening, SHUT_RDWR);
	g_thread_join(server->thread);
	close(server->listening);
	g_mutex_lock(&server->mutex);
	for (guint i = 0; i < server->sockets->len; i++)
		shutdown(g_array_index(server->sockets, int, i), SHUT_RDWR);
	g_mutex_unlock(&server->mutex);
	for (guint i = 0; i < server->clients->len; i++)
		g_thread_join(g_ptr_array_index(server->clients, i));
	if (server->path != NULL)
		unlink(server->path);
	g_ptr_array_unref(server->clients);
	g_array_unref(server->sockets);
	g_ptr_array_unref(server->taken);
	g_free(server->extensions);
	g_free(server->address);
	g_free(server->path);
	g_mutex_clear(&server->mutex);
	g_free(server);
}

const char *
smtp_server_address(const struct smtp_server *server)
{
	return server->address;
}

void
smtp_server_offer(struct smtp_server *server, const char *extensions)
{
	g_free(server->extensions);
	server->extensions = g_strdup(
	    extensions != NULL ? extensions : "PIPELINING\nSIZE 10000000\n8BITMIME\nSMTPUTF8\nDSN");
}

void
smtp_server_script(struct smtp_server *server, const struct smtp_step *steps)
{
	g_mutex_lock(&server->mutex);
	server->steps = steps;
	memset(server->counts, 0, sizeof server->counts);
	g_ptr_array_set_size(server->taken, 0);
	g_mutex_unlock(&server->mutex);
}

void
smtp_server_hook(struct smtp_server *server,
		 void (*hook)(gpointer data, enum smtp_stage stage, guint nth), gpointer data)
{
	server->hook_data = data;
	server->hook = hook;
}

guint
smtp_server_count(struct smtp_server *server, enum smtp_stage stage)
{
	guint count;

	g_mutex_lock(&server->mutex);
	count = server->counts[stage];
	g_mutex_unlock(&server->mutex);
	return count;
}

GPtrArray *
smtp_server_taken(struct smtp_server *server)
{
	return server->taken;
}

guint
smtp_server_copies(struct smtp_server *server, const char *address)
{
	g_autofree char *argument = g_strdup_printf("TO:<%s>", address);
	guint copies = 0;

	g_mutex_lock(&server->mutex);
	for (guint i = 0; i < server->taken->len; i++) {
		const struct smtp_taken *taken = g_ptr_array_index(server->taken, i);

		for (guint r = 0; r < taken->rcpt->len; r++)
			copies += g_str_has_prefix(g_ptr_array_index(taken->rcpt, r), argument);
	}
	g_mutex_unlock(&server->mutex);
	return copies;
}
