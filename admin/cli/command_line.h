/*
 * command_line - what was typed, against the table of operations. Pure but for the texts it keeps.
 *
 * postseal [-c FILE] [--socket PATH] [--json|--csv] NOUN VERB [ARGUMENTS]; options may stand
 * anywhere, "--" ends them. A word that is not known is refused with the nearest one.
 */
#ifndef ADMIN_CLI_COMMAND_LINE_H
#define ADMIN_CLI_COMMAND_LINE_H

#include <glib.h>

#include "admin/api/operation.h"
#include "store/base/cleanup.h"

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV };

struct command_line {
	const struct operation *operation; /* NULL: help, version or a noun alone */
	char *noun;                        /* of a help request, or NULL */
	gboolean help;
	gboolean version;
	enum output_format format;
	char *config_path;          /* NULL: the default */
	char *socket_path;          /* NULL: as the settings say */
	GHashTable *texts;          /* argument name -> GPtrArray of texts as typed */
	GHashTable *password_files; /* argument name -> path of --NAME-file */
	GHashTable *password_fds;   /* argument name -> number of --NAME-fd, as text */
};

/* NULL with *error (PS_ERROR_INVALID) for wrong usage; the text begins with the command. */
struct command_line *command_line_parse(const char *const *words,
					GError **error) G_GNUC_WARN_UNUSED_RESULT;
void command_line_free(struct command_line *line);
/* The last text of an argument, or NULL. */
const char *command_line_text(const struct command_line *line, const char *name);
/* All of them, NULL-terminated, borrowed texts; g_free the array. */
const char **command_line_texts(const struct command_line *line, const char *name);
gboolean command_line_flag(const struct command_line *line, const char *name);

DEFINE_CLEANUP(command_line, command_line_free)

#endif
