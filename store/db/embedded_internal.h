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
 * A program to its end, as that user (NULL: as we are), without a shell, with an environment of
 * our own, in a folder (NULL: the root). The input may be NULL; the output (both streams) is in
 * the error when it fails, and in *output if wanted.
 */
gboolean program_run(const struct os_user *user, const char *folder, const char *const *argv,
		     const char *input, char **output, const char *what, GError **error);
/* Waits for a child; error_fd is a memory file with what it wrote. */
gboolean program_await(pid_t pid, int error_fd, const char *what, GError **error);
extern const char *const program_environment[];

/* Is this user, root aside, in the group of the server's user? FALSE when there is no such user. */
gboolean os_user_may_knock(const struct os_user *server, const char *name);

/* Of making a cluster; login is the method of initdb -A. */
gboolean embedded_initdb(const struct settings *settings, const struct os_user *user,
			 const char *bin_dir, const char *data_dir, const char *login,
			 GError **error);
/* SQL, one statement a line, by a server that nobody else can reach. */
gboolean embedded_single_user(const struct os_user *user, const char *bin_dir, const char *data_dir,
			      const char *database, const char *sql, GError **error);
/* An empty folder that belongs to the server's user; what a crash left there is removed. */
gboolean embedded_make_folder(const char *path, const struct os_user *user, GError **error);
void embedded_remove_tree(const char *path);
/* The lock on the data directory: a descriptor that is open over exec; -1 with *error. */
int embedded_lock(const char *data_dir, GError **error);

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
