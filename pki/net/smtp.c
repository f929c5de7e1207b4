/*
 * smtp - the client; see smtp.h.
 *
 * All waiting is one function with one deadline. While bytes go out, what comes in is taken, so
 * that a server that answers a pipeline early does not block it; no more of it than an answer can
 * hold is kept.
 */
#include "pki/net/smtp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pki/net/smtp_internal.h"
#include "store/base/clock.h"
#include "store/base/error.h"

#define TICK_US (G_USEC_PER_SEC)
#define PAUSE_MS 20
#define IN_MAX_BYTES (256 * 1024)
#define OUT_FLUSH_BYTES (64 * 1024)

struct smtp {
	int fd;
	struct smtp_options options;
	gint64 tick_us; /* when to call options.waiting again */
	GString *in;
	GString *out;
	guint extensions;
	guint64 size_max;
	gboolean broken;
	gboolean end_sent; /* of the last message */
};

/* ---- bytes ---------------------------------------------------------------------------------- */

static gboolean
wait_for(gpointer data, int fd, short events, short *ready)
{
	struct smtp *smtp = data;

	for (;;) {
		struct pollfd waiting = { .fd = fd, .events = events };
		gint64 now = clock_monotonic_us();
		gint64 until = fd < 0 ? now + PAUSE_MS * 1000 : smtp->tick_us;
		int n;

		if (now >= smtp->tick_us) {
			smtp->tick_us = now + TICK_US;
			if (smtp->options.waiting != NULL &&
			    !smtp->options.waiting(smtp->options.waiting_data))
				return FALSE;
			continue;
		}
		if (now >= smtp->options.deadline_us)
			return FALSE;
		until = MIN(until, smtp->options.deadline_us);
		n = poll(&waiting, 1, (int)((until - now) / 1000 + 1));
		if (ready != NULL)
			*ready = waiting.revents;
		if (n > 0 || (n == 0 && fd < 0))
			return TRUE;
		if (n < 0 && errno != EINTR)
			return FALSE;
	}
}

static gboolean
broken(struct smtp *smtp, GError **error, const char *what)
{
	smtp->broken = TRUE;
	return fail_false(error, PS_ERROR_TEMPORARY, "the mail server at %s %s",
			  smtp->options.address, what);
}

static gboolean
receive(struct smtp *smtp, GError **error)
{
	char piece[4096];
	ssize_t n = recv(smtp->fd, piece, sizeof piece, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return TRUE;
	if (n <= 0)
		return broken(smtp, error, "closed the connection");
	g_string_append_len(smtp->in, piece, n);
	return TRUE;
}

static gboolean
flush(struct smtp *smtp, GError **error)
{
	gsize sent = 0;

	while (sent < smtp->out->len) {
		short wanted = POLLOUT | (smtp->in->len < IN_MAX_BYTES ? POLLIN : 0), ready;
		ssize_t n;

		if (!wait_for(smtp, smtp->fd, wanted, &ready))
			return broken(smtp, error, "takes too long to read");
		if ((ready & POLLIN) != 0 && !receive(smtp, error))
			return FALSE;
		n = send(smtp->fd, smtp->out->str + sent, smtp->out->len - sent, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return broken(smtp, error, "closed the connection");
		sent += n > 0 ? (gsize)n : 0;
	}
	g_string_truncate(smtp->out, 0);
	return TRUE;
}

static gboolean
read_reply(struct smtp *smtp, struct smtp_reply *reply, GError **error)
{
	gboolean whole = FALSE;
	gsize used;

	smtp_reply_clear(reply);
	while (!whole) {
		if (!smtp_reply_take(reply, smtp->in->str, smtp->in->len, &used, &whole, error)) {
			smtp->broken = TRUE;
			return FALSE;
		}
		g_string_erase(smtp->in, 0, (gssize)used);
		if (used > 0)
			continue;
		if (!wait_for(smtp, smtp->fd, POLLIN, NULL))
			return broken(smtp, error, "takes too long to answer");
		if (!receive(smtp, error))
			return FALSE;
	}
	return TRUE;
}

/* An answer other than this one is the end of the connection. */
static gboolean
expect(struct smtp *smtp, guint code, const char *what, struct smtp_reply *reply, GError **error)
{
	g_autofree char *text = NULL;

	if (!flush(smtp, error) || !read_reply(smtp, reply, error))
		return FALSE;
	if (reply->code == code)
		return TRUE;
	text = smtp_reply_text(reply);
	smtp->broken = reply->code == 421;
	return fail_false(error, PS_ERROR_TEMPORARY, "the mail server at %s answers %s with %s",
			  smtp->options.address, what, text);
}

/* ---- greeting ------------------------------------------------------------------------------- */

static void
take_extension(struct smtp *smtp, const char *line)
{
	static const struct {
		const char *keyword;
		enum smtp_extension extension;
	} known[] = {
		{ "PIPELINING", SMTP_PIPELINING },
		{ "SIZE", SMTP_SIZE },
		{ "8BITMIME", SMTP_8BITMIME },
		{ "SMTPUTF8", SMTP_UTF8 },
		{ "DSN", SMTP_DSN },
	};
	gsize length = strcspn(line, " ");

	for (guint i = 0; i < G_N_ELEMENTS(known); i++)
		if (strlen(known[i].keyword) == length &&
		    g_ascii_strncasecmp(line, known[i].keyword, length) == 0)
			smtp->extensions |= known[i].extension;
	if (length == 4 && g_ascii_strncasecmp(line, "SIZE ", 5) == 0 &&
	    !g_ascii_string_to_unsigned(line + 5, 10, 0, G_MAXINT64, &smtp->size_max, NULL))
		smtp->size_max = 0;
}

static gboolean
greet(struct smtp *smtp, GError **error)
{
	struct smtp_reply reply = { 0 };
	gboolean good = expect(smtp, 220, "the connection", &reply, error);

	if (good) {
		g_string_printf(smtp->out, "EHLO %s\r\n", smtp->options.name);
		good = expect(smtp, 250, "EHLO", &reply, error);
	}
	for (guint i = 1; good && i < reply.lines->len; i++)
		take_extension(smtp, g_ptr_array_index(reply.lines, i));
	smtp_reply_clear(&reply);
	return good;
}

struct smtp *
smtp_open(const struct smtp_options *options, GError **error)
{
	struct smtp *smtp = g_new0(struct smtp, 1);

	smtp->options = *options;
	smtp->tick_us = clock_monotonic_us() + TICK_US;
	smtp->in = g_string_new(NULL);
	smtp->out = g_string_new(NULL);
	smtp->fd = smtp_connect(options->address, wait_for, smtp, error);
	if (smtp->fd >= 0 && greet(smtp, error))
		return smtp;
	smtp_close(smtp);
	return NULL;
}

guint
smtp_extensions(const struct smtp *smtp)
{
	return smtp->extensions;
}

gboolean
smtp_end_sent(const struct smtp *smtp)
{
	return smtp->end_sent;
}

guint64
smtp_size_max(const struct smtp *smtp)
{
	return smtp->size_max;
}

void
smtp_close(struct smtp *smtp)
{
	if (smtp == NULL)
		return;
	if (smtp->fd >= 0 && !smtp->broken)
		(void)!send(smtp->fd, "QUIT\r\n", 6, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (smtp->fd >= 0)
		close(smtp->fd);
	g_string_free(smtp->in, TRUE);
	g_string_free(smtp->out, TRUE);
	g_free(smtp);
}

/* ---- transactions --------------------------------------------------------------------------- */

gboolean
smtp_begin(struct smtp *smtp, const struct smtp_envelope *envelope, struct smtp_reply *sender,
	   struct smtp_reply *replies, GError **error)
{
	gboolean together = (smtp->extensions & SMTP_PIPELINING) != 0;

	if (!smtp_can_take(envelope, smtp->extensions, smtp->options.address, error))
		return FALSE;
	for (guint i = 0; together && i <= envelope->count; i++)
		if (!smtp_command(smtp->out, envelope, i, smtp->extensions, error))
			return FALSE;
	for (guint i = 0; i <= envelope->count; i++) {
		if (!together && !smtp_command(smtp->out, envelope, i, smtp->extensions, error))
			return FALSE;
		if (!flush(smtp, error) ||
		    !read_reply(smtp, i == 0 ? sender : &replies[i - 1], error))
			return FALSE;
		if (!together && sender->code != 250)
			break;
	}
	return TRUE;
}

gboolean
smtp_reset(struct smtp *smtp, GError **error)
{
	struct smtp_reply reply = { 0 };
	gboolean good;

	g_string_append(smtp->out, "RSET\r\n");
	good = expect(smtp, 250, "RSET", &reply, error);
	smtp_reply_clear(&reply);
	return good;
}

/* ---- a message ------------------------------------------------------------------------------ */

struct content {
	struct sink sink;
	struct smtp *smtp;
	gboolean in_line; /* the last byte was no LF */
	gboolean cr;      /* it was a CR */
};

static gboolean
content_write(struct sink *self, gconstpointer bytes, gsize length, GError **error)
{
	struct content *content = (struct content *)self;
	GString *out = content->smtp->out;
	const char *at = bytes;
	const char *end = at + length;

	while (at < end) {
		const char *line_end = memchr(at, '\n', (gsize)(end - at));
		gsize n = (gsize)((line_end != NULL ? line_end : end) - at);

		if (!content->in_line && *at == '.')
			g_string_append_c(out, '.');
		g_string_append_len(out, at, (gssize)n);
		if (n > 0)
			content->cr = at[n - 1] == '\r';
		content->in_line = line_end == NULL;
		if (line_end != NULL) {
			g_string_append(out, content->cr ? "\n" : "\r\n");
			content->cr = FALSE;
		}
		at += n + (line_end != NULL);
		if (out->len >= OUT_FLUSH_BYTES && !flush(content->smtp, error))
			return FALSE;
	}
	return TRUE;
}

gboolean
smtp_data(struct smtp *smtp, gboolean (*message)(gpointer data, struct sink *to, GError **error),
	  gpointer data, struct smtp_reply *reply, GError **error)
{
	struct content content = { .sink = { content_write }, .smtp = smtp };

	smtp->end_sent = FALSE;
	g_string_append(smtp->out, "DATA\r\n");
	if (!flush(smtp, error) || !read_reply(smtp, reply, error))
		return FALSE;
	if (reply->code != 354)
		return TRUE;
	if (!message(data, &content.sink, error)) {
		smtp->broken = TRUE; /* its end must not be seen */
		return FALSE;
	}
	g_string_append(smtp->out, content.in_line ? "\r\n.\r\n" : ".\r\n");
	smtp->end_sent = TRUE;
	return flush(smtp, error) && read_reply(smtp, reply, error);
}
