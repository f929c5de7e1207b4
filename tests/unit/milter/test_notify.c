/*
 * notify: what the service manager receives, on a path and in the abstract name space.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "milter/notify.h"

static int
listen_at(const char *name, gboolean abstract)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	gsize length = strlen(name);

	memcpy(address.sun_path, name, length);
	if (abstract)
		address.sun_path[0] = '\0';
	g_assert_cmpint(bind(fd, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
			==, 0);
	return fd;
}

static void
expect(int fd, const char *prefix)
{
	char text[256];
	gssize got = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);

	g_assert_cmpint(got, >, 0);
	text[got] = '\0';
	g_assert_true(g_str_has_prefix(text, prefix));
}

static void
test_states(gconstpointer data)
{
	gboolean abstract = GPOINTER_TO_INT(data);
	g_autofree char *dir = g_dir_make_tmp("postseal-notify-XXXXXX", NULL);
	g_autofree char *path = g_build_filename(dir, "notify", NULL);
	g_autofree char *name = abstract ? g_strconcat("@", path, NULL) : g_strdup(path);
	int fd = listen_at(name, abstract);

	g_setenv("NOTIFY_SOCKET", name, TRUE);
	notify_ready("serving");
	expect(fd, "READY=1\nSTATUS=serving\n");
	notify_reloading();
	expect(fd, "RELOADING=1\nMONOTONIC_USEC=");
	notify_stopping();
	expect(fd, "STOPPING=1\n");
	close(fd);
	notify_ready("nobody listens"); /* and nothing happens */
	g_unsetenv("NOTIFY_SOCKET");
	notify_ready("nobody is there");
	g_unlink(path);
	g_rmdir(dir);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_data_func("/notify/path", GINT_TO_POINTER(FALSE), test_states);
	g_test_add_data_func("/notify/abstract", GINT_TO_POINTER(TRUE), test_states);
	return g_test_run();
}
