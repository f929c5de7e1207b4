/*
 * mta - what a message may ask of the mail server that handed it over, as a table of functions.
 *
 * libmilter_glue.c fills it for the milter protocol, tests fill it with fakes. Embed struct mta
 * as the first member of the implementation. All functions but macro() may be called only at end
 * of message. FALSE means that the server took nothing more: the message must be tempfailed.
 * Header values carry their leading blank and fold with LF alone (a CR would stay in Postfix's
 * queue file). Threads: one session is one thread at a time; no function is called concurrently.
 */
#ifndef MILTER_MTA_H
#define MILTER_MTA_H

#include <glib.h>

#define MTA_CHUNK_MAX_BYTES 65535 /* the largest piece of a body in one packet */

struct mta;

struct mta_ops {
	/* Value of a macro ("i", "{auth_authen}") or NULL; valid until the next call. */
	const char *(*macro)(struct mta *mta, const char *name);
	/* occurrence counts from 1 among the fields of that name; value NULL deletes. */
	gboolean (*change_header)(struct mta *mta, const char *name, guint occurrence,
				  const char *value);
	/* index counts from 0, above all fields that the filter was shown. */
	gboolean (*insert_header)(struct mta *mta, guint index, const char *name,
				  const char *value);
	gboolean (*append_header)(struct mta *mta, const char *name, const char *value);
	/* The first call of a message drops the old body; the pieces are joined; any length. */
	gboolean (*replace_body)(struct mta *mta, gconstpointer bytes, gsize length);
	/* The RCPT argument byte for byte as it came, brackets included or not. */
	gboolean (*delete_recipient)(struct mta *mta, const char *argument);
	/* parameters: "NOTIFY=NEVER ORCPT=..." or NULL. */
	gboolean (*add_recipient)(struct mta *mta, const char *argument, const char *parameters);
	gboolean (*change_sender)(struct mta *mta, const char *argument, const char *parameters);
	gboolean (*quarantine)(struct mta *mta, const char *reason);
	/* code "550", status "5.7.5", up to 32 lines without line ends. */
	gboolean (*set_reply)(struct mta *mta, const char *code, const char *status,
			      const char *const *lines);
	/* Still at work; restarts the server's timer. */
	gboolean (*progress)(struct mta *mta);
};

struct mta {
	const struct mta_ops *ops;
};

#endif
