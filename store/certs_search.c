/*
 * certs_search - lists of the certificate store by filters, page by page (K8).
 */
#include "store/certs.h"

#include <string.h>

#include "store/base/error.h"
#include "store/certs_internal.h"
#include "store/db/query.h"

#define LIST_LIMIT 100

/* One statement a field, so that each can use its index. $1 is the text in lower case. */
#define LIST_WHERE(condition)                                                                      \
	CERT_COLUMNS("NULL::bytea")                                                                \
	" WHERE " condition " AND c.id > $2"                                                       \
	" AND ($3 = 0 OR ($3 = 1 AND c.not_after >= $4) OR ($3 = 2 AND c.not_after < $4))"         \
	" AND (NOT $5 OR EXISTS (SELECT 1 FROM private_key k WHERE k.spki_sha256 = "               \
	"c.spki_sha256))"                                                                          \
	" AND (NOT $6 OR c.pending) ORDER BY c.id LIMIT $7"

enum list_field {
	LIST_ALL,
	LIST_ANY,
	LIST_ADDRESS,
	LIST_EMAIL,
	LIST_SUBJECT,
	LIST_ISSUER,
	LIST_SERIAL,
	LIST_THUMBPRINT
};

static const struct statement list_statements[] = {
	[LIST_ALL] = { "certs_list_all", LIST_WHERE("$1::text IS NULL") },
	[LIST_ANY] = { "certs_list_any",
		       LIST_WHERE(
			   "(strpos(lower(c.subject), $1) > 0 OR strpos(lower(c.issuer), $1)"
			   " > 0 OR strpos(c.serial, $1) > 0 OR starts_with(c.thumbprint, $1)"
			   " OR EXISTS (SELECT 1 FROM certificate_email e WHERE"
			   " e.certificate_id = c.id AND strpos(e.email, $1) > 0))") },
	[LIST_ADDRESS] = { "certs_list_address",
			   LIST_WHERE("c.id IN (SELECT e.certificate_id FROM certificate_email e"
				      " WHERE e.email = $1)") },
	[LIST_EMAIL] = { "certs_list_email",
			 LIST_WHERE("EXISTS (SELECT 1 FROM certificate_email e WHERE"
				    " e.certificate_id = c.id AND strpos(e.email, $1) > 0)") },
	[LIST_SUBJECT] = { "certs_list_subject", LIST_WHERE("strpos(lower(c.subject), $1) > 0") },
	[LIST_ISSUER] = { "certs_list_issuer", LIST_WHERE("strpos(lower(c.issuer), $1) > 0") },
	[LIST_SERIAL] = { "certs_list_serial", LIST_WHERE("strpos(c.serial, $1) > 0") },
	[LIST_THUMBPRINT] = { "certs_list_thumbprint",
			      LIST_WHERE("c.thumbprint >= $1 AND c.thumbprint < $1 || 'g'") },
};

static gboolean
list_field(const struct cert_filter *filter, enum list_field *field, GError **error)
{
	static const struct {
		const char *name;
		enum list_field field;
	} names[] = {
		{ "email", LIST_EMAIL },           { "subject", LIST_SUBJECT },
		{ "issuer", LIST_ISSUER },         { "serial", LIST_SERIAL },
		{ "thumbprint", LIST_THUMBPRINT },
	};

	*field = filter->text == NULL || *filter->text == '\0' ? LIST_ALL : LIST_ANY;
	if (filter->field == NULL || *field == LIST_ALL)
		return TRUE;
	for (gsize i = 0; i < G_N_ELEMENTS(names); i++)
		if (strcmp(names[i].name, filter->field) == 0) {
			const char *at = strchr(filter->text, '@');
			*field = names[i].field;
			if (*field == LIST_EMAIL && at != NULL && at != filter->text &&
			    at[1] != '\0')
				*field = LIST_ADDRESS;
			return TRUE;
		}
	return fail_false(error, PS_ERROR_INVALID,
			  "unknown field '%s': email, subject, issuer, serial or thumbprint",
			  filter->field);
}

/* Digests and serials are found however they are spelt: "AB:CD", "0xabcd". */
static gboolean
list_text(const struct cert_filter *filter, enum list_field field, char **text_out, GError **error)
{
	*text_out = field != LIST_ALL ? g_utf8_strdown(filter->text, -1) : NULL;
	if (field != LIST_SERIAL && field != LIST_THUMBPRINT)
		return TRUE;
	char *out = *text_out;
	const char *p = g_str_has_prefix(out, "0x") ? out + 2 : out;
	for (; *p != '\0'; p++) {
		if (g_ascii_isxdigit(*p))
			*out++ = *p;
		else if (strchr(": -", *p) == NULL)
			break;
	}
	/* Without a digit it would be found in all of them. */
	if (*p != '\0' || out == *text_out) {
		g_clear_pointer(text_out, g_free);
		return fail_false(error, PS_ERROR_INVALID,
				  "'%s' is no %s: hex digits, also with colons", filter->text,
				  field == LIST_SERIAL ? "serial number" : "thumbprint");
	}
	*out = '\0';
	return TRUE;
}

GPtrArray *
certs_list(struct db *db, const struct cert_filter *filter, GError **error)
{
	enum list_field field;

	if (!list_field(filter, &field, error))
		return NULL;
	g_autofree char *text = NULL;
	if (!list_text(filter, field, &text, error))
		return NULL;
	struct params *params = params_new();
	params_text(params, text);
	params_int(params, filter->after);
	params_int(params, filter->expired);
	params_time(params, filter->now);
	params_bool(params, filter->with_key == CERT_KEY_ONLY);
	params_bool(params, filter->only_pending);
	params_int(params, filter->limit > 0 ? filter->limit : LIST_LIMIT);
	return cert_rows_read(db_query(db, &list_statements[field], params, error));
}
