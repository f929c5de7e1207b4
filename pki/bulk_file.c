/*
 * bulk_file - rows of values become rows of requests.
 */
#include "pki/bulk_file.h"

#include <string.h>

#include "pki/crypto/issue.h"
#include "pki/csv.h"
#include "store/base/error.h"
#include "store/base/mailaddr.h"
#include "store/base/printable.h"
#include "store/bulk.h"

enum column { COLUMN_EMAIL, COLUMN_NAME, COLUMN_ORGANISATION, COLUMN_FIRST, COLUMN_LAST, COLUMNS };

static const char *const column_names[COLUMNS] = {
	[COLUMN_EMAIL] = "EMAIL",
	[COLUMN_NAME] = "COMMONNAME",
	[COLUMN_ORGANISATION] = "ORGANISATION",
	[COLUMN_FIRST] = "FIRSTNAME",
	[COLUMN_LAST] = "LASTNAME",
};

static const struct {
	const char *word;
	enum column column;
} words[] = {
	{ "EMAIL", COLUMN_EMAIL },
	{ "E", COLUMN_EMAIL },
	{ "COMMONNAME", COLUMN_NAME },
	{ "CN", COLUMN_NAME },
	{ "ORGANISATION", COLUMN_ORGANISATION },
	{ "ORG", COLUMN_ORGANISATION },
	{ "O", COLUMN_ORGANISATION },
	{ "FIRSTNAME", COLUMN_FIRST },
	{ "FN", COLUMN_FIRST },
	{ "GIVENNAME", COLUMN_FIRST },
	{ "GN", COLUMN_FIRST },
	{ "LASTNAME", COLUMN_LAST },
	{ "LN", COLUMN_LAST },
	{ "SURNAME", COLUMN_LAST },
	{ "SN", COLUMN_LAST },
};

struct columns {
	gint at[COLUMNS]; /* -1: not in the file */
	enum column of[COLUMNS];
	guint count;
};

static gboolean
column_of(const char *word, enum column *column)
{
	for (gsize i = 0; i < G_N_ELEMENTS(words); i++)
		if (g_ascii_strcasecmp(words[i].word, word) == 0) {
			*column = words[i].column;
			return TRUE;
		}
	return FALSE;
}

static gboolean
fail_column(const struct csv_row *row, const char *word, GError **error)
{
	g_autofree char *shown = printable(word);

	if (row->values->len == 1 && strpbrk(word, ";\t|") != NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "line %u: columns are separated by commas, not as in '%s'",
				  row->line, shown);
	return fail_false(error, PS_ERROR_INVALID,
			  "line %u: column '%s' is none of EMAIL, COMMONNAME, ORGANISATION, "
			  "FIRSTNAME, LASTNAME; the first line names the columns",
			  row->line, shown);
}

static gboolean
read_columns(const struct csv_row *row, struct columns *columns, GError **error)
{
	columns->count = 0;
	for (guint c = 0; c < COLUMNS; c++)
		columns->at[c] = -1;
	if (row->why != NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "line %u: the line that names the columns %s", row->line,
				  row->why);
	for (guint i = 0; i < row->values->len; i++) {
		const char *word = g_ptr_array_index(row->values, i);
		enum column column;

		if (!column_of(word, &column))
			return fail_column(row, word, error);
		if (columns->at[column] >= 0)
			return fail_false(error, PS_ERROR_INVALID,
					  "line %u: column %s is there twice ('%s' is another "
					  "word for it)",
					  row->line, column_names[column], word);
		columns->at[column] = (gint)i;
		columns->of[columns->count++] = column;
	}
	for (enum column c = COLUMN_EMAIL; c <= COLUMN_NAME; c++)
		if (columns->at[c] < 0)
			return fail_false(error, PS_ERROR_INVALID, "line %u: column %s is missing",
					  row->line, column_names[c]);
	return TRUE;
}

static void set_broken(struct bulk_row *row, const char *format, ...) G_GNUC_PRINTF(2, 3);

static void
set_broken(struct bulk_row *row, const char *format, ...)
{
	va_list args;

	if (row->state != BULK_ROW_WAITING)
		return;
	va_start(args, format);
	row->why = g_strdup_vprintf(format, args);
	va_end(args);
	row->state = BULK_ROW_BROKEN;
}

/* Line ends and the blanks around them become one blank; NULL: nothing is left. */
static char *
one_line(const char *text)
{
	g_autoptr(GString) line = g_string_new(NULL);

	for (const char *p = text; *p != '\0';) {
		if (*p != '\r' && *p != '\n') {
			g_string_append_c(line, *p++);
			continue;
		}
		while (line->len > 0 && line->str[line->len - 1] == ' ')
			g_string_truncate(line, line->len - 1);
		p += strspn(p, " \t\r\n");
		if (line->len > 0 && *p != '\0')
			g_string_append_c(line, ' ');
	}
	return line->len > 0 ? g_strdup(line->str) : NULL;
}

static char *
value_of(const struct columns *columns, const struct csv_row *csv, enum column column)
{
	gint at = columns->at[column];

	return at >= 0 && (guint)at < csv->values->len
		   ? one_line(g_ptr_array_index(csv->values, (guint)at))
		   : NULL;
}

static void
check_address(struct bulk_row *row)
{
	g_autoptr(GError) why = NULL;

	if (row->email == NULL) {
		set_broken(row, "EMAIL is empty");
		return;
	}
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(row->email, &why);
	if (address == NULL) {
		set_broken(row, "EMAIL: %s", why->message);
		return;
	}
	g_free(row->email);
	row->email = g_strdup(mailaddr_key(address));
}

static void
check_names(struct bulk_row *row)
{
	g_autoptr(GError) why = NULL;
	struct issue_names names = {
		.common_name = row->common_name,
		.organisation = row->organisation,
		.given_name = row->first_name,
		.surname = row->last_name,
	};

	if (row->common_name == NULL)
		set_broken(row, "COMMONNAME is empty");
	else if (!issue_names_check(&names, &why))
		set_broken(row, "%s", why->message);
}

static struct bulk_row *
row_from(const struct columns *columns, const struct csv_row *csv)
{
	struct bulk_row *row = g_new0(struct bulk_row, 1);

	row->line = csv->line;
	row->state = BULK_ROW_WAITING;
	row->email = value_of(columns, csv, COLUMN_EMAIL);
	row->common_name = value_of(columns, csv, COLUMN_NAME);
	row->organisation = value_of(columns, csv, COLUMN_ORGANISATION);
	row->first_name = value_of(columns, csv, COLUMN_FIRST);
	row->last_name = value_of(columns, csv, COLUMN_LAST);
	if (csv->why != NULL && csv->culprit > 0 && csv->culprit <= columns->count)
		set_broken(row, "%s %s", column_names[columns->of[csv->culprit - 1]], csv->why);
	else if (csv->why != NULL && csv->culprit > 0)
		set_broken(row, "value %u %s", csv->culprit, csv->why);
	else if (csv->why != NULL)
		set_broken(row, "the line %s", csv->why);
	else if (csv->values->len != columns->count)
		set_broken(row, "%u value(s) for %u columns", csv->values->len, columns->count);
	if (row->state == BULK_ROW_WAITING)
		check_address(row);
	if (row->state == BULK_ROW_WAITING)
		check_names(row);
	return row;
}

static void
find_duplicate(GHashTable *lines, struct bulk_row *row)
{
	guint first;

	if (row->state != BULK_ROW_WAITING)
		return;
	first = GPOINTER_TO_UINT(g_hash_table_lookup(lines, row->email));
	if (first == 0) {
		g_hash_table_insert(lines, row->email, GUINT_TO_POINTER(row->line));
		return;
	}
	row->state = BULK_ROW_DUPLICATE;
	row->why = g_strdup_printf("line %u has the same address", first);
}

static void
free_row(gpointer row)
{
	bulk_row_free(row);
}

GPtrArray *
bulk_file_read(GBytes *bytes, const char *encoding, const struct csv_limits *limits, GError **error)
{
	g_autoptr(GPtrArray) values = csv_read(bytes, encoding, limits, error);
	g_autoptr(GPtrArray) rows = g_ptr_array_new_with_free_func(free_row);
	g_autoptr(GHashTable) lines = g_hash_table_new(g_str_hash, g_str_equal);
	struct columns columns;

	if (values == NULL)
		return NULL;
	if (values->len == 0)
		return fail(error, PS_ERROR_INVALID,
			    "the file is empty; its first line names the columns");
	if (!read_columns(g_ptr_array_index(values, 0), &columns, error))
		return NULL;
	for (guint i = 1; i < values->len; i++) {
		struct bulk_row *row = row_from(&columns, g_ptr_array_index(values, i));

		find_duplicate(lines, row);
		g_ptr_array_add(rows, row);
	}
	if (rows->len == 0)
		return fail(error, PS_ERROR_INVALID,
			    "the file has no rows behind the line that names the columns");
	return g_steal_pointer(&rows);
}
