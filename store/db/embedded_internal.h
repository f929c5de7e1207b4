/*
 * embedded_internal - what the files of the embedded cluster share.
 */
#ifndef STORE_DB_EMBEDDED_INTERNAL_H
#define STORE_DB_EMBEDDED_INTERNAL_H

#include <glib.h>
#include <sys/types.h>

#include "store/config/settings.h"

#define OS_GROUPS_MAX 64

/* Who the server runs as: database_user for root, else ourselves. */
struct os_user {
	char name[64];
	uid_t uid;
	gid_t gid;
	gid_t groups[OS_GROUPS_MAX];
	int group_count;
	gboolean change; /* we are root and have to become it */
};

gboolean os_user_find(const struct settings *settings, struct os_user *user, GError **error);
/* Calls nothing but system calls: fit for a child between fork and exec. 0 when done. */
int os_user_become(const struct os_user *user);

/*
 * A program to its end, as that user, without a shell, with our own environment. The input may
 * be NULL; the output (both streams) is in the error when it fails, and in *output if wanted.
 */
gboolean program_run(const struct os_user *user, const char *const *argv, const char *input,
		     char **output, const char *what, GError **error);
/* Waits for a child; error_fd is a memory file with what it wrote. */
gboolean program_await(pid_t pid, int error_fd, const char *what, GError **error);
extern const char *const program_environment[];

/* pg_hba.conf and pg_ident.conf of the settings; called as the server's user. */
gboolean embedded_write_access(const struct settings *settings, const struct os_user *user,
			       GError **error);
/* The major version of a folder's postgres; 0 when there is none. */
int embedded_bin_major(const char *bin_dir);

/* What a recorded process id is, seen from a server that wants to start on data_dir. */
enum pid_state {
	PID_GONE,
	PID_ZOMBIE,
	PID_OURS,     /* a server process of this directory */
	PID_POSTGRES, /* one of another directory */
	PID_OTHER,    /* another program: the number was used again */
	PID_UNSURE,
};
enum pid_state pid_judge(pid_t pid, const char *data_dir);

#endif
