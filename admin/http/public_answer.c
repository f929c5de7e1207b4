/*
 * public_answer - immutable answers, their headers, and conditional requests (RFC 9110, RFC 9111).
 */
#include <string.h>

#include "admin/http/public_internal.h"
#include "store/base/clock.h"

/* max-age counts from when an answer is sent, and the headers are made once in so long. */
#define HEADERS_SECONDS 60

struct public_answer {
	int references;
	unsigned int status;
	const char *content_type, *allow;
	GBytes *body;
	char etag[36]; /* with its quotes */
	gint64 last_modified, expires, fresh, keep_seconds;
	GMutex lock; /* of what follows */
	struct MHD_Response *full, *unchanged;
	gint64 built;
};

static const char *const days[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };
static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct public_answer *
public_answer_new(const struct public_answer_spec *spec)
{
	struct public_answer *answer = g_new0(struct public_answer, 1);
	g_autofree char *digest = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, spec->body);

	answer->references = 1;
	answer->status = spec->status;
	answer->content_type = spec->content_type;
	answer->allow = spec->allow;
	answer->body = g_bytes_ref(spec->body);
	answer->last_modified = spec->last_modified;
	answer->expires = spec->expires;
	answer->fresh = spec->fresh != 0 ? spec->fresh : spec->expires;
	answer->keep_seconds = spec->keep_seconds;
	g_snprintf(answer->etag, sizeof answer->etag, "\"%.32s\"", digest);
	g_mutex_init(&answer->lock);
	return answer;
}

static struct public_answer *
line_new(unsigned int status, const char *line, const char *allow)
{
	char *text = g_strconcat(line, "\n", NULL);
	g_autoptr(GBytes) body = g_bytes_new_take(text, strlen(text));
	const struct public_answer_spec spec = {
		.status = status,
		.content_type = "text/plain; charset=utf-8",
		.body = body,
		.last_modified = CLOCK_NEVER,
		.expires = CLOCK_NEVER,
		.allow = allow,
	};

	return public_answer_new(&spec);
}

struct public_answer *
public_answer_text(unsigned int status, const char *line)
{
	return line_new(status, line, NULL);
}

struct public_answer *
public_answer_wrong_method(unsigned int methods)
{
	static const char *const allow[] = { "", "GET, HEAD", "POST", "GET, HEAD, POST" };

	return line_new(MHD_HTTP_METHOD_NOT_ALLOWED, "this is not how it is asked for",
			allow[methods & 3]);
}

struct public_answer *
public_answer_ref(struct public_answer *answer)
{
	g_atomic_int_inc(&answer->references);
	return answer;
}

static void
drop_built(struct public_answer *answer)
{
	if (answer->full != NULL)
		MHD_destroy_response(answer->full);
	if (answer->unchanged != NULL)
		MHD_destroy_response(answer->unchanged);
	answer->full = NULL;
	answer->unchanged = NULL;
}

void
public_answer_unref(struct public_answer *answer)
{
	if (answer == NULL || !g_atomic_int_dec_and_test(&answer->references))
		return;
	drop_built(answer);
	g_bytes_unref(answer->body);
	g_mutex_clear(&answer->lock);
	g_free(answer);
}

/* --- headers --- */

/* In English, whatever the locale. */
char *
public_date_format(gint64 seconds)
{
	g_autoptr(GDateTime) at = g_date_time_new_from_unix_utc(seconds);

	if (at == NULL)
		return g_strdup("Thu, 01 Jan 1970 00:00:00 GMT");
	return g_strdup_printf(
	    "%s, %02d %s %04d %02d:%02d:%02d GMT", days[g_date_time_get_day_of_week(at) - 1],
	    g_date_time_get_day_of_month(at), months[g_date_time_get_month(at) - 1],
	    g_date_time_get_year(at), g_date_time_get_hour(at), g_date_time_get_minute(at),
	    g_date_time_get_second(at));
}

static gboolean
take_digits(const char *text, gsize n, gint *value)
{
	*value = 0;
	for (gsize i = 0; i < n; i++) {
		if (!g_ascii_isdigit(text[i]))
			return FALSE;
		*value = *value * 10 + (text[i] - '0');
	}
	return TRUE;
}

gboolean
public_date_parse(const char *text, gint64 *seconds)
{
	gint day, year, hour, minute, second, month = 0;

	if (strlen(text) != 29 || strncmp(text + 3, ", ", 2) != 0 ||
	    strcmp(text + 25, " GMT") != 0 || text[7] != ' ' || text[11] != ' ' ||
	    text[16] != ' ' || text[19] != ':' || text[22] != ':')
		return FALSE;
	for (gint i = 0; i < (gint)G_N_ELEMENTS(months); i++)
		if (strncmp(text + 8, months[i], 3) == 0)
			month = i + 1;
	if (month == 0 || !take_digits(text + 5, 2, &day) || !take_digits(text + 12, 4, &year) ||
	    !take_digits(text + 17, 2, &hour) || !take_digits(text + 20, 2, &minute) ||
	    !take_digits(text + 23, 2, &second) || year < 1970)
		return FALSE;
	g_autoptr(GDateTime) at = g_date_time_new_utc(year, month, day, hour, minute, second);
	if (at == NULL)
		return FALSE;
	*seconds = g_date_time_to_unix(at);
	return TRUE;
}

static void
add_date(struct MHD_Response *response, const char *name, gint64 seconds)
{
	g_autofree char *text = public_date_format(seconds);

	MHD_add_response_header(response, name, text);
}

static void
add_caching(struct MHD_Response *response, const struct public_answer *answer, gint64 now)
{
	gint64 left = answer->expires != CLOCK_NEVER ? answer->fresh - now - HEADERS_SECONDS : 0;

	if (answer->keep_seconds > 0)
		left = MIN(left, answer->keep_seconds);
	if (answer->expires == CLOCK_NEVER) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
		return;
	}
	g_autofree char *text = g_strdup_printf(
	    "max-age=%" G_GINT64_FORMAT ", public, no-transform, must-revalidate", MAX(left, 0));
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, text);
	add_date(response, MHD_HTTP_HEADER_EXPIRES, answer->expires);
}

static void
free_body(void *body)
{
	g_bytes_unref(body);
}

static struct MHD_Response *
build(const struct public_answer *answer, gboolean unchanged, gint64 now)
{
	g_autoptr(GBytes) none = g_bytes_new_static("", 0);
	GBytes *body = g_bytes_ref(unchanged ? none : answer->body);
	gsize length;
	gconstpointer bytes = g_bytes_get_data(body, &length);
	/* Bytes that are still being sent outlive the answer. */
	struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
	    length, (void *)bytes, free_body, body);

	if (response == NULL) {
		g_bytes_unref(body);
		return NULL;
	}
	if (!unchanged)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
					answer->content_type);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	if (g_str_has_prefix(answer->content_type, "text/html"))
		MHD_add_response_header(response, "Content-Security-Policy",
					"default-src 'none'; style-src 'unsafe-inline'; "
					"frame-ancestors 'none'; base-uri 'none'; form-action "
					"'none'");
	if (answer->allow != NULL)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, answer->allow);
	add_caching(response, answer, now);
	if (answer->expires == CLOCK_NEVER)
		return response;
	MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, answer->etag);
	if (answer->last_modified != CLOCK_NEVER)
		add_date(response, MHD_HTTP_HEADER_LAST_MODIFIED, answer->last_modified);
	return response;
}

/* RFC 9110 section 13.2.2: If-Modified-Since does not count beside If-None-Match. */
static gboolean
is_unchanged(const struct public_answer *answer, struct MHD_Connection *connection)
{
	gint64 since;

	if (answer->status != MHD_HTTP_OK || answer->expires == CLOCK_NEVER)
		return FALSE;
	const char *tags =
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_IF_NONE_MATCH);
	if (tags != NULL)
		return strcmp(tags, "*") == 0 || strstr(tags, answer->etag) != NULL;
	const char *date = answer->last_modified != CLOCK_NEVER
			       ? MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							     MHD_HTTP_HEADER_IF_MODIFIED_SINCE)
			       : NULL;
	return date != NULL && public_date_parse(date, &since) && since >= answer->last_modified;
}

enum MHD_Result
public_answer_queue(struct public_answer *answer, struct MHD_Connection *connection, gint64 now)
{
	gboolean unchanged = is_unchanged(answer, connection);
	struct MHD_Response **slot = unchanged ? &answer->unchanged : &answer->full;
	enum MHD_Result result = MHD_NO;

	g_mutex_lock(&answer->lock);
	if (now < answer->built || now >= answer->built + HEADERS_SECONDS) {
		drop_built(answer);
		answer->built = now;
	}
	if (*slot == NULL)
		*slot = build(answer, unchanged, now);
	if (*slot != NULL)
		result = MHD_queue_response(
		    connection, unchanged ? MHD_HTTP_NOT_MODIFIED : answer->status, *slot);
	g_mutex_unlock(&answer->lock);
	return result;
}
