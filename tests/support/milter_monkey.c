/*
 * milter_monkey - plays an MTA that has lost its mind: random legal and illegal sequences.
 *
 *     milter_monkey -s SOCKET [-n SEQUENCES] [-S SEED] [-t THREADS]
 *
 * A sequence is one connection: negotiation, then commands of the milter protocol in an order
 * that the dice choose, with arguments that are right, empty, unterminated, large or noise, then
 * the end. The filter must answer to the end of each legal message, end every connection within
 * DEADLINE_MS, and still serve the next one. What was covered is counted by pairs of commands
 * (which came after which): all pairs of an alphabet of COMMANDS. Prints one line of JSON.
 * Exit status: 0 all well and every pair covered, 1 not, 2 wrong usage.
 */
#include <errno.h>
#include <glib.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define DEADLINE_MS 20000
#define LENGTH_MAX 24
#define LARGE_BYTES 70000
#define THREADS_MAX 16
#define STEPS_ALL 0x1fffffu /* what Postfix offers */
#define ACTIONS_ALL 0x1ffu

/* connect, helo, mail, rcpt, data, header, end of header, body, end of message, abort, quit of a
 * session, macros, unknown SMTP command, negotiation once more, no command at all */
static const char commands[] = "CHMRTLNBEAKDUOz";
#define N_COMMANDS (sizeof commands - 1)

static char *socket_name;
static int n_sequences = 1000;
static int seed = 1;
static int n_threads = 2;

static const GOptionEntry entries[] = {
	{ "socket", 's', 0, G_OPTION_ARG_STRING, &socket_name, "of the filter", "SOCKET" },
	{ "sequences", 'n', 0, G_OPTION_ARG_INT, &n_sequences, "connections", "N" },
	{ "seed", 'S', 0, G_OPTION_ARG_INT, &seed, "of the dice", "N" },
	{ "threads", 't', 0, G_OPTION_ARG_INT, &n_threads, "at once", "N" },
	{ 0 },
};

struct tally {
	guint64 pairs[N_COMMANDS][N_COMMANDS];
	guint legal, illegal;
	guint answered; /* legal messages that got their answer */
	guint failures;
	char *first_failure;
};

struct worker {
	GRand *dice;
	guint sequences;
	struct tally tally;
	GByteArray *out;
	guint expected; /* answers to ends of message that must come */
	gsize previous; /* index of the command before; N_COMMANDS: none */
};

static GMutex turn;
static guint sequences_left;

/* ---- packets -------------------------------------------------------------------------------- */

static void
put_u32(GByteArray *out, guint32 value)
{
	guint32 big = GUINT32_TO_BE(value);

	g_byte_array_append(out, (const guint8 *)&big, 4);
}

static void
put_packet(struct worker *worker, char command, gconstpointer data, gsize length)
{
	guint8 letter = (guint8)command;
	const char *at = strchr(commands, command);

	put_u32(worker->out, (guint32)length + 1);
	g_byte_array_append(worker->out, &letter, 1);
	if (length > 0)
		g_byte_array_append(worker->out, data, (guint)length);
	if (at == NULL || command == '\0')
		return;
	if (worker->previous < N_COMMANDS)
		worker->tally.pairs[worker->previous][at - commands]++;
	worker->previous = (gsize)(at - commands);
}

static gboolean
one_in(struct worker *worker, int n)
{
	return g_rand_int_range(worker->dice, 0, n) == 0;
}

static void
put_noise(struct worker *worker, GByteArray *data, gsize length)
{
	for (gsize i = 0; i < length; i++) {
		guint8 octet = (guint8)g_rand_int_range(worker->dice, 0, 256);

		g_byte_array_append(data, &octet, 1);
	}
}

/* What belongs to a command, with its NULs. */
static void
put_right_data(GByteArray *data, char command)
{
	static const struct {
		char command;
		const char *bytes;
		gsize length;
	} right[] = {
#define RIGHT(c, text) { c, text, sizeof text - 1 }
		RIGHT('C', "client.example\0004\0\031192.0.2.9\0"),
		RIGHT('H', "client.example\0"),
		RIGHT('M', "<alice@outside.example>\0SIZE=100\0"),
		RIGHT('R', "<bob@partner.example>\0NOTIFY=NEVER\0"),
		RIGHT('L', "Subject\0 a monkey wrote this\0"),
		RIGHT('B', "text\r\nmore text\r\n"),
		RIGHT('D', "Mi\0Q1\0{daemon_name}\0smtpd\0"),
		RIGHT('U', "XYZZY\0"),
		RIGHT('O', "\0\0\0\006\0\0\001\377\0\037\377\377"),
#undef RIGHT
	};

	for (gsize i = 0; i < G_N_ELEMENTS(right); i++)
		if (right[i].command == command)
			g_byte_array_append(data, (const guint8 *)right[i].bytes,
					    (guint)right[i].length);
}

static void
put_right(struct worker *worker, char command)
{
	g_autoptr(GByteArray) data = g_byte_array_new();

	put_right_data(data, command);
	put_packet(worker, command, data->data, data->len);
}

/* Macros are always whole: of a list with a name without a value libmilter 8.17 itself reads past
 * the end (smfi_getsymval). FALSE: from here on the filter cannot know where packets begin. */
static gboolean
put_anything(struct worker *worker)
{
	char command = commands[g_rand_int_range(worker->dice, 0, (gint32)N_COMMANDS)];
	g_autoptr(GByteArray) data = g_byte_array_new();

	put_right_data(data, command);
	switch (command == 'D' ? -1 : g_rand_int_range(worker->dice, 0, 12)) {
	case 0: /* nothing */
		g_byte_array_set_size(data, 0);
		break;
	case 1: /* cut short: its NUL is missing */
		if (data->len > 0)
			g_byte_array_set_size(data, data->len - 1);
		break;
	case 2:
		put_noise(worker, data, (gsize)g_rand_int_range(worker->dice, 1, 200));
		break;
	case 3:
		if (one_in(worker, 8))
			put_noise(worker, data, LARGE_BYTES);
		break;
	case 4:
		if (one_in(worker, 8)) { /* a length that is a lie */
			put_u32(worker->out, one_in(worker, 2) ? 0 : 0x7fffffff);
			return FALSE;
		}
		break;
	default:
		break;
	}
	put_packet(worker, command, data->data, data->len);
	return TRUE;
}

/* ---- sequences ------------------------------------------------------------------------------ */

static void
put_negotiation(struct worker *worker, guint32 steps)
{
	g_autoptr(GByteArray) data = g_byte_array_new();

	worker->previous = N_COMMANDS;
	put_u32(data, 6);
	put_u32(data, ACTIONS_ALL);
	put_u32(data, steps);
	put_packet(worker, 'O', data->data, data->len);
}

static void
put_message(struct worker *worker)
{
	int fields = g_rand_int_range(worker->dice, 0, 4);
	int pieces = g_rand_int_range(worker->dice, 0, 3);
	int recipients = g_rand_int_range(worker->dice, 1, 4);

	put_right(worker, 'D');
	put_right(worker, 'M');
	while (recipients-- > 0)
		put_right(worker, 'R');
	if (one_in(worker, 4)) { /* given up in the middle */
		put_right(worker, 'A');
		return;
	}
	while (fields-- > 0)
		put_right(worker, 'L');
	put_right(worker, 'N');
	while (pieces-- > 0)
		put_right(worker, 'B');
	put_right(worker, 'E');
	worker->expected++;
}

static void
put_legal(struct worker *worker)
{
	int messages = g_rand_int_range(worker->dice, 1, 4);

	put_negotiation(worker, STEPS_ALL);
	put_right(worker, 'C');
	put_right(worker, 'H');
	while (messages-- > 0)
		put_message(worker);
}

static void
put_illegal(struct worker *worker)
{
	int length = g_rand_int_range(worker->dice, 1, LENGTH_MAX);
	gboolean quiet = one_in(worker, 2);

	if (!one_in(worker, 20))
		put_negotiation(worker, quiet ? STEPS_ALL : 0);
	if (one_in(worker, 2))
		put_right(worker, 'C');
	if (one_in(worker, 3)) {
		put_right(worker, 'M');
		put_right(worker, 'R');
	}
	while (length-- > 0)
		if (!put_anything(worker))
			return;
}

/* ---- one connection ------------------------------------------------------------------------- */

static int
connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (g_strlcpy(address.sun_path, path, sizeof address.sun_path) < sizeof address.sun_path &&
	    fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
connect_inet(const char *port_at_host)
{
	g_auto(GStrv) parts = g_strsplit(port_at_host, "@", 2);
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;
	int fd = -1;

	if (parts[0] == NULL || parts[1] == NULL ||
	    getaddrinfo(parts[1], parts[0], &hints, &found) != 0)
		return -1;
	fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static int
connect_filter(void)
{
	if (g_str_has_prefix(socket_name, "unix:"))
		return connect_unix(socket_name + 5);
	return connect_inet(g_str_has_prefix(socket_name, "inet:") ? socket_name + 5 : socket_name);
}

/* Sends as the filter takes it and keeps what it answers, until it closes. FALSE: it does not. */
static gboolean
exchange(struct worker *worker, int fd, GByteArray *in)
{
	gint64 until = g_get_monotonic_time() + DEADLINE_MS * G_GINT64_CONSTANT(1000);
	gsize at = 0;

	for (;;) {
		gboolean sending = at < worker->out->len;
		struct pollfd one = { .fd = fd,
				      .events = (short)(POLLIN | (sending ? POLLOUT : 0)) };
		guint8 piece[16384];
		ssize_t n;

		if (poll(&one, 1, 1000) < 0 && errno != EINTR)
			return FALSE;
		if (g_get_monotonic_time() > until)
			return FALSE;
		if ((one.revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
			n = recv(fd, piece, sizeof piece, MSG_DONTWAIT);
			if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
				return TRUE;
			if (n > 0)
				g_byte_array_append(in, piece, (guint)n);
		}
		if (sending && (one.revents & POLLOUT) != 0) {
			n = send(fd, worker->out->data + at, worker->out->len - at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n > 0)
				at += (gsize)n;
			if (at == worker->out->len)
				shutdown(fd, SHUT_WR);
		}
	}
}

/* Final answers in what came back; steps that do not answer leave those to ends of message. */
static guint
count_answers(const GByteArray *in)
{
	guint answers = 0;

	for (gsize at = 0; at + 5 <= in->len;) {
		guint32 length;

		memcpy(&length, in->data + at, 4);
		length = GUINT32_FROM_BE(length);
		if (length == 0 || length > in->len - at - 4)
			return G_MAXUINT;
		if (strchr("cartdy", in->data[at + 4]) != NULL)
			answers++;
		at += 4 + length;
	}
	return answers;
}

static void
note_failure(struct worker *worker, const char *what)
{
	worker->tally.failures++;
	if (worker->tally.first_failure == NULL)
		worker->tally.first_failure = g_strdup(what);
}

static void
run_sequence(struct worker *worker)
{
	gboolean legal = one_in(worker, 3);
	g_autoptr(GByteArray) in = g_byte_array_new();
	int fd = connect_filter();

	if (fd < 0) {
		note_failure(worker, "the filter takes no connection");
		return;
	}
	g_byte_array_set_size(worker->out, 0);
	worker->expected = 0;
	worker->previous = N_COMMANDS;
	if (legal)
		put_legal(worker);
	else
		put_illegal(worker);
	if (legal || one_in(worker, 2))
		put_packet(worker, 'Q', NULL, 0);
	if (!exchange(worker, fd, in))
		note_failure(worker, "the filter does not end a connection");
	close(fd);
	if (!legal) {
		worker->tally.illegal++;
		return;
	}
	worker->tally.legal++;
	worker->tally.answered += worker->expected;
	if (count_answers(in) != worker->expected)
		note_failure(worker, "a legal message has no answer");
}

static gpointer
work(gpointer data)
{
	struct worker *worker = data;
	gboolean more = TRUE;

	while (more) {
		g_mutex_lock(&turn);
		more = sequences_left > 0;
		sequences_left -= more ? 1 : 0;
		g_mutex_unlock(&turn);
		if (more)
			run_sequence(worker);
	}
	return NULL;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int
print_result(struct worker *workers)
{
	struct tally sum = { 0 };
	guint covered = 0;
	const char *failure = "";

	for (int i = 0; i < n_threads; i++) {
		const struct tally *one = &workers[i].tally;

		sum.legal += one->legal;
		sum.illegal += one->illegal;
		sum.answered += one->answered;
		sum.failures += one->failures;
		if (one->first_failure != NULL)
			failure = one->first_failure;
		for (gsize a = 0; a < N_COMMANDS; a++)
			for (gsize b = 0; b < N_COMMANDS; b++)
				sum.pairs[a][b] += one->pairs[a][b];
	}
	for (gsize a = 0; a < N_COMMANDS; a++)
		for (gsize b = 0; b < N_COMMANDS; b++)
			covered += sum.pairs[a][b] > 0;
	printf("{\"legal\": %u, \"illegal\": %u, \"answered\": %u, \"pairs\": %u, "
	       "\"pairs_possible\": %zu, \"failures\": %u, \"failure\": \"%s\"}\n",
	       sum.legal, sum.illegal, sum.answered, covered, N_COMMANDS * N_COMMANDS, sum.failures,
	       failure);
	return sum.failures == 0 && covered == N_COMMANDS * N_COMMANDS ? 0 : 1;
}

int
main(int argc, char **argv)
{
	g_autoptr(GOptionContext) context = g_option_context_new(NULL);
	struct worker workers[THREADS_MAX] = { 0 };
	GThread *threads[THREADS_MAX];
	g_autoptr(GError) error = NULL;
	int status;

	g_option_context_add_main_entries(context, entries, NULL);
	if (!g_option_context_parse(context, &argc, &argv, &error) || socket_name == NULL ||
	    n_threads < 1 || n_threads > THREADS_MAX || n_sequences < 1) {
		fprintf(stderr, "milter_monkey: %s\n",
			error != NULL ? error->message : "usage: milter_monkey -s SOCKET");
		return 2;
	}
	sequences_left = (guint)n_sequences;
	for (int i = 0; i < n_threads; i++) {
		workers[i].dice = g_rand_new_with_seed((guint32)(seed + i));
		workers[i].out = g_byte_array_new();
		threads[i] = g_thread_new("monkey", work, &workers[i]);
	}
	for (int i = 0; i < n_threads; i++)
		g_thread_join(threads[i]);
	status = print_result(workers);
	for (int i = 0; i < n_threads; i++) {
		g_rand_free(workers[i].dice);
		g_byte_array_unref(workers[i].out);
		g_free(workers[i].tally.first_failure);
	}
	return status;
}
