/*
 * local_operation - one operation without the daemon: for root, by the same code.
 *
 * Arguments come as a JSON object on standard input; {"exit": N, "answer": …} goes to standard
 * output. The caller is who runs it; only root and the daemon's own user have a role here.
 */
#ifndef ADMIN_API_LOCAL_OPERATION_H
#define ADMIN_API_LOCAL_OPERATION_H

/* The exit status of the program: 0 when an answer was written. */
int local_operation_run(const char *config_path, const char *name);

#endif
