/*
 * certs_search - lists of the certificate store by filters, page by page (K8).
 *
 * A page is found through the numbers of its rows: each place where a text may stand gives the
 * first ones after the cursor by its own index, and of these the first ones are the page. So a
 * page costs the same wherever it is, and free text is no scan of everything. The statements are
 * planned for their values: what is rare is best found by its words, what is frequent by reading
 * on from the cursor.
 */
#include "store/certs.h"

#include <string.h>

#include "store/base/error.h"
#include "store/base/hex.h"
#include "store/base/mailaddr.h"
#include "store/certs_internal.h"
#include "store/db/query.h"

#define LIST_LIMIT 100
#define DECIMAL_DIGITS_MIN 4 /* shorter ones are hex */
#define DECIMAL_DIGITS_MAX 60

/* $1: the row after which the page begins, $2: its size. */
#define OF_CERTIFICATE "SELECT c.id FROM certificate c WHERE c.id > $1 AND "
#define OF_ADDRESS                                                                                 \
	"SELECT DISTINCT e.certificate_id FROM certificate_email e JOIN certificate c"             \
	" ON c.id = e.certificate_id WHERE e.certificate_id > $1 AND "

struct search {
	const struct cert_filter *filter;
	struct params *params;
	int count;       /* of params */
	GString *places; /* one SELECT a place, joined by UNION */
};

static int
add_text(struct search *search, const char *text)
{
	params_text(search->params, text);
	return ++search->count;
}

/* Whatever the text holds stands for itself. */
static int
add_pattern(struct search *search, const char *text)
{
	g_autoptr(GString) pattern = g_string_new("%");

	for (const char *p = text; *p != '\0'; p++) {
		if (strchr("\\%_", *p) != NULL)
			g_string_append_c(pattern, '\\');
		g_string_append_c(pattern, *p);
	}
	g_string_append_c(pattern, '%');
	return add_text(search, pattern->str);
}

static void
add_place(struct search *search, const char *select, const char *condition)
{
	const struct cert_filter *filter = search->filter;

	g_string_append_printf(search->places, "%s(%s%s", search->places->len > 0 ? " UNION " : "",
			       select, condition);
	if (filter->expired != CERT_EXPIRED_ALL) {
		params_time(search->params, filter->now);
		g_string_append_printf(search->places, " AND c.not_after %s $%d",
				       filter->expired == CERT_EXPIRED_ONLY_UNEXPIRED ? ">=" : "<",
				       ++search->count);
	}
	if (filter->with_key == CERT_KEY_ONLY)
		g_string_append(search->places, " AND EXISTS (SELECT 1 FROM private_key k"
						" WHERE k.spki_sha256 = c.spki_sha256)");
	if (filter->only_pending)
		g_string_append(search->places, " AND c.pending");
	g_string_append(search->places, " ORDER BY 1 LIMIT $2)");
}

static void
add_place_of(struct search *search, const char *select, int parameter, const char *format)
{
	g_auto(GStrv) parts = g_strsplit(format, "?", -1);
	g_autofree char *number = g_strdup_printf("$%d", parameter);
	g_autofree char *condition = g_strjoinv(number, parts);

	add_place(search, select, condition);
}

static void
add_subject(struct search *search)
{
	add_place_of(search, OF_CERTIFICATE, add_pattern(search, search->filter->text),
		     "searched(c.subject) LIKE searched(?)");
}

static void
add_issuer(struct search *search)
{
	add_place_of(search, OF_CERTIFICATE, add_pattern(search, search->filter->text),
		     "searched(c.issuer) LIKE searched(?)");
}

/* A domain that is written in a script of its own is kept in its ASCII form. */
static char *
stored_form(const char *text)
{
	const char *at = strrchr(text, '@');
	const char *domain = at != NULL ? at + 1 : text;
	g_autofree char *key = NULL;

	if (g_str_is_ascii(domain) || strchr(domain, '.') == NULL)
		return g_strdup(text);
	key = mailaddr_domain_key(domain, NULL);
	if (key == NULL)
		return g_strdup(text);
	g_autofree char *before = g_strndup(text, (gsize)(domain - text));
	return g_strconcat(before, key, NULL);
}

static void
add_email(struct search *search)
{
	CLEANUP(mailaddr) struct mailaddr *address = mailaddr_parse(search->filter->text, NULL);

	if (search->filter->field != NULL && address != NULL) {
		add_place_of(search, OF_ADDRESS, add_text(search, mailaddr_key(address)),
			     "e.email = ?");
		return;
	}
	g_autofree char *part = stored_form(search->filter->text);
	add_place_of(search, OF_ADDRESS, add_pattern(search, part), "e.email ILIKE ?");
}

/* 'g' follows the last hex digit: everything that begins with the digits. */
static void
add_prefix(struct search *search, const char *column, const char *digits)
{
	g_autofree char *format = g_strdup_printf("%s >= ? AND %s < ? || 'g'", column, column);

	add_place_of(search, OF_CERTIFICATE, add_text(search, digits), format);
}

/* Some programs show serial numbers in decimal. NULL: it cannot be one. */
static char *
hex_of_decimal(const char *text)
{
	gsize length = strlen(text);
	guint8 bytes[DECIMAL_DIGITS_MAX] = { 0 };

	if (length < DECIMAL_DIGITS_MIN || length > DECIMAL_DIGITS_MAX ||
	    strspn(text, "0123456789") != length)
		return NULL;
	for (const char *p = text; *p != '\0'; p++) {
		guint carry = (guint)(*p - '0');

		for (gsize i = sizeof bytes; i-- > 0;) {
			carry += bytes[i] * 10u;
			bytes[i] = (guint8)(carry & 0xff);
			carry >>= 8;
		}
	}
	g_autofree char *digits = hex_encode(bytes, sizeof bytes);
	const char *first = digits + strspn(digits, "0");
	return g_strdup(*first != '\0' ? first : "0");
}

static void
add_serial(struct search *search, const char *digits)
{
	const char *first = digits + strspn(digits, "0");
	g_autofree char *hex = hex_of_decimal(search->filter->text);

	add_prefix(search, "c.serial", *first != '\0' ? first : "0");
	if (hex != NULL)
		add_place_of(search, OF_CERTIFICATE, add_text(search, hex), "c.serial = ?");
}

static void
add_everywhere(struct search *search)
{
	g_autofree char *digits = hex_from_spelling(search->filter->text);

	add_subject(search);
	add_issuer(search);
	add_email(search);
	if (digits == NULL)
		return;
	add_serial(search, digits);
	add_prefix(search, "c.thumbprint", digits);
}

static gboolean
add_digits(struct search *search, GError **error)
{
	gboolean is_serial = strcmp(search->filter->field, "serial") == 0;
	g_autofree char *digits = hex_from_spelling(search->filter->text);

	if (digits == NULL)
		return fail_false(error, PS_ERROR_INVALID,
				  "'%s' is no %s: hex digits, also with colons",
				  search->filter->text, is_serial ? "serial number" : "thumbprint");
	if (is_serial)
		add_serial(search, digits);
	else
		add_prefix(search, "c.thumbprint", digits);
	return TRUE;
}

static gboolean
add_places(struct search *search, GError **error)
{
	static const struct {
		const char *name;
		void (*add)(struct search *search);
	} fields[] = {
		{ "email", add_email },
		{ "subject", add_subject },
		{ "issuer", add_issuer },
	};
	const struct cert_filter *filter = search->filter;

	if (filter->text == NULL || *filter->text == '\0') {
		add_place(search, OF_CERTIFICATE, "TRUE");
		return TRUE;
	}
	if (filter->field == NULL) {
		add_everywhere(search);
		return TRUE;
	}
	for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
		if (strcmp(fields[i].name, filter->field) == 0) {
			fields[i].add(search);
			return TRUE;
		}
	if (strcmp(filter->field, "serial") == 0 || strcmp(filter->field, "thumbprint") == 0)
		return add_digits(search, error);
	return fail_false(error, PS_ERROR_INVALID,
			  "unknown field '%s': email, subject, issuer, serial or thumbprint",
			  filter->field);
}

char *
certs_list_sql(const struct cert_filter *filter, struct params **params, GError **error)
{
	g_autoptr(GString) places = g_string_new(NULL);
	struct search search = { filter, params_new(), 2, places };

	params_int(search.params, filter->after);
	params_int(search.params, filter->limit > 0 ? filter->limit : LIST_LIMIT);
	params_plan_anew(search.params);
	if (!add_places(&search, error)) {
		params_free(search.params);
		return NULL;
	}
	*params = search.params;
	return g_strdup_printf(CERT_COLUMNS("NULL::bytea") " WHERE c.id IN (SELECT found.id FROM"
							   " (%s) AS found(id) ORDER BY 1 LIMIT $2)"
							   " ORDER BY c.id",
			       places->str);
}

GPtrArray *
certs_list(struct db *db, const struct cert_filter *filter, GError **error)
{
	struct params *params;
	g_autofree char *sql = certs_list_sql(filter, &params, error);

	if (sql == NULL)
		return NULL;
	const struct statement listing = { "certs_list", sql };
	return cert_rows_read(db_query(db, &listing, params, error));
}

static const struct statement certs_below_statement = {
	"certs_below",
	"WITH RECURSIVE above(key) AS (SELECT $1::text COLLATE \"C\" UNION SELECT c.subject_key"
	" FROM certificate c JOIN above a ON c.issuer_key = a.key WHERE c.is_ca)"
	" SELECT count(*) FROM certificate c JOIN above a ON c.issuer_key = a.key"
	" WHERE c.subject_key <> c.issuer_key",
};

gboolean
certs_count_below(struct db *db, const char *subject_key, gint64 *count, GError **error)
{
	struct params *params = params_new();

	params_text(params, subject_key);
	params_plan_anew(params);
	CLEANUP(rows) struct rows *rows = db_query(db, &certs_below_statement, params, error);
	if (rows == NULL)
		return FALSE;
	*count = rows_int(rows, 0, 0);
	return TRUE;
}

static const struct statement search_indexes_statement = {
	"search_indexes",
	"SELECT search_indexes()",
};
static const struct statement search_indexed_statement = {
	"search_indexed",
	"SELECT to_regclass('certificate_words') IS NOT NULL"
	" AND to_regclass('certificate_email_words') IS NOT NULL",
};

gboolean
certs_search_indexes(struct db *db, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_write(db, &search_indexes_statement, NULL, error);

	return rows != NULL;
}

gboolean
certs_search_is_indexed(struct db *db, gboolean *indexed, GError **error)
{
	CLEANUP(rows) struct rows *rows = db_query(db, &search_indexed_statement, NULL, error);

	*indexed = rows != NULL && rows_bool(rows, 0, 0);
	return rows != NULL;
}
