/*
 * doctor_files - key files, sockets and the clock.
 */
#include "admin/api/doctor.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin/api/milter_status.h"
#include "pki/crypto/seal.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/config/settings.h"

#define BUILT_AT G_GINT64_CONSTANT(1763683200) /* 2025-11-21: no clock is right that is before */

/* --- keys --- */

static gboolean
check_owner(struct doctor *doctor, const char *path, const char *user_name)
{
	const struct passwd *user = getpwnam(user_name);
	g_autofree char *remedy =
	    g_strdup_printf("chown %s: %s && chmod 600 %s", user_name, path, path);
	struct stat info;

	if (stat(path, &info) != 0) {
		/* The daemon cannot look into the milter's folder, and need not. */
		if (errno == EACCES && geteuid() != 0)
			return FALSE;
		doctor_add(doctor, FINDING_BAD, "keys", "run 'postseal setup'", "%s: %s", path,
			   g_strerror(errno));
		return FALSE;
	}
	if ((info.st_mode & 077) != 0) {
		doctor_add(doctor, FINDING_BAD, "keys", remedy,
			   "%s: others than its owner have rights on it (mode %04o)", path,
			   (unsigned int)info.st_mode & 07777);
		return FALSE;
	}
	if (geteuid() == 0 && user != NULL && info.st_uid != user->pw_uid) {
		doctor_add(doctor, FINDING_BAD, "keys", remedy, "%s does not belong to %s", path,
			   user_name);
		return FALSE;
	}
	return TRUE;
}

static char *
check_key_file(struct doctor *doctor, const char *path, const char *user)
{
	g_autoptr(GError) problem = NULL;
	CLEANUP(master_keys) struct master_keys *keys = NULL;

	if (!check_owner(doctor, path, user))
		return NULL;
	keys = master_keys_load(path, &problem);
	if (keys == NULL) {
		doctor_add(doctor, FINDING_BAD, "keys", "put the right file in its place", "%s",
			   problem->message);
		return NULL;
	}
	doctor_add(doctor, FINDING_OK, "keys", NULL, "%s: generation %u", path,
		   master_keys_current(keys));
	return master_keys_id(keys, master_keys_current(keys));
}

void
doctor_check_keys(struct doctor *doctor)
{
	const struct settings *s = doctor->settings;
	g_autofree char *mine = check_key_file(doctor, s->master_key_file, s->daemon_user);
	g_autofree char *other = check_key_file(doctor, s->milter_master_key_file, s->milter_user);
	g_autofree char *remedy =
	    g_strdup_printf("run 'postseal key rotate-master --prepare', or copy %s over %s",
			    s->master_key_file, s->milter_master_key_file);

	if (mine != NULL && other != NULL && strcmp(mine, other) != 0)
		doctor_add(doctor, FINDING_BAD, "keys", remedy,
			   "daemon and milter have different newest master keys");
}

/* --- sockets --- */

static gboolean
somebody_answers(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	gboolean answers;

	g_strlcpy(address.sun_path, path, sizeof address.sun_path);
	answers = fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
	if (fd >= 0)
		close(fd);
	return answers;
}

void
doctor_check_sockets(struct doctor *doctor)
{
	const struct settings *s = doctor->settings;
	g_autoptr(GError) problem = NULL;

	if (somebody_answers(s->api_socket))
		doctor_add(doctor, FINDING_OK, "daemon", NULL, "postseald answers at %s",
			   s->api_socket);
	else
		doctor_add(doctor, FINDING_BAD, "daemon", "start postseald",
			   "nobody answers at %s: %s", s->api_socket, g_strerror(errno));
	g_autofree char *text = milter_status_ask(s->run_dir, "json", &problem);
	if (text != NULL)
		doctor_add(doctor, FINDING_OK, "milter", NULL, "postseal-milter answers");
	else
		doctor_add(doctor, FINDING_BAD, "milter", "start postseal-milter", "%s",
			   problem->message);
}

/* --- clock --- */

void
doctor_check_clock(struct doctor *doctor)
{
	struct timex state = { 0 };
	int kind = adjtimex(&state);

	if (clock_now(clock_system()) < BUILT_AT)
		doctor_add(doctor, FINDING_BAD, "clock", "set the clock, and keep it by NTP",
			   "the clock is years behind: no certificate can be judged");
	else if (kind == TIME_ERROR)
		doctor_add(doctor, FINDING_NOTE, "clock",
			   "keep the clock by NTP (chrony, "
			   "systemd-timesyncd)",
			   "nothing says that the clock is kept in time");
	else
		doctor_add(doctor, FINDING_OK, "clock", NULL, "kept in time");
}
