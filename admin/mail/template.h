/*
 * template - the texts of the gateway's own mail, in several languages, which a site may change.
 *
 * {{name}} stands for a value, {{#name}}...{{/name}} is there when the value is not empty. In HTML
 * values are escaped, in a subject they are one line. A language that lacks a part takes that of
 * the default language (setting delivery_language), then the English one.
 * Threads: any.
 */
#ifndef ADMIN_MAIL_TEMPLATE_H
#define ADMIN_MAIL_TEMPLATE_H

#include <glib.h>

#include "store/base/cleanup.h"

struct db;

enum template_part { TEMPLATE_SUBJECT, TEMPLATE_TEXT, TEMPLATE_HTML };
#define TEMPLATE_PARTS 3
#define TEMPLATE_MAX_BYTES (256 * 1024)

/* What stands for {{name}}; the list ends with a name NULL. */
struct template_value {
	const char *name, *value;
};

/* A mail that has templates; the list ends with a name NULL. */
struct template_info {
	const char *name;     /* "bundle" */
	const char *sentence; /* what it is for */
	const char *values;   /* names of its values, blanks between */
	gboolean only_text;   /* no subject and no HTML (an SMS) */
};
extern const struct template_info template_infos[];

/* The built-in text, or NULL; languages: NULL-terminated. */
const char *template_builtin(const char *name, const char *language, enum template_part part);
extern const char *const template_languages[];

struct template_texts {
	char *subject, *text, *html; /* html NULL: none */
};

/* Filled in. language may be NULL; otherwise: the setting's. */
gboolean template_fill_all(struct db *db, const char *name, const char *language,
			   const char *otherwise, const struct template_value *values,
			   struct template_texts *texts, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void template_texts_clear(struct template_texts *texts);

/* Pure. */
char *template_fill(const char *template, enum template_part part,
		    const struct template_value *values);
const struct template_info *template_find(const char *name,
					  GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *template_part_name(enum template_part part); /* "subject" ... */
gboolean template_part_parse(const char *text, enum template_part *part,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean template_language_check(const char *language, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID names an unknown value, an open section, too much text. */
gboolean template_check(const struct template_info *info, enum template_part part, const char *text,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
