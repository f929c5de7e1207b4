/*
 * rows - binary results of PostgreSQL, read by the type that each column has.
 *
 * Wire formats: network byte order; timestamps are microseconds since 2000-01-01 UTC; numeric
 * is in groups of four decimal digits; an array is dimensions, a NULL flag, the element type,
 * then length and bytes of each element.
 */
#include "store/db/query.h"

#include <math.h>
#include <string.h>

#include "store/base/log.h"
#include "store/db/internal.h"

#define EPOCH_2000 G_GINT64_CONSTANT(946684800)
#define USEC_PER_SEC G_GINT64_CONSTANT(1000000)
#define ARRAY_MAX 1000000

/* Type numbers are fixed by PostgreSQL's catalogue (pg_type.dat). */
enum {
	OID_BOOL = 16,
	OID_INT8 = 20,
	OID_INT2 = 21,
	OID_INT4 = 23,
	OID_OID = 26,
	OID_FLOAT4 = 700,
	OID_FLOAT8 = 701,
	OID_DATE = 1082,
	OID_TIMESTAMP = 1114,
	OID_TIMESTAMPTZ = 1184,
	OID_NUMERIC = 1700,
	OID_JSONB = 3802,
};

struct rows {
	PGresult *result;
	const char *what;
	GStringChunk *texts; /* of values that are no text by themselves */
};

struct rows *
rows_new(PGresult *result, const char *what)
{
	struct rows *rows = g_new0(struct rows, 1);

	rows->result = result;
	rows->what = what;
	rows->texts = g_string_chunk_new(64);
	return rows;
}

void
rows_free(struct rows *rows)
{
	if (rows == NULL)
		return;
	PQclear(rows->result);
	g_string_chunk_free(rows->texts);
	g_free(rows);
}

int
rows_count(const struct rows *rows)
{
	return PQntuples(rows->result);
}

gint64
rows_affected(const struct rows *rows)
{
	return g_ascii_strtoll(PQcmdTuples(rows->result), NULL, 10);
}

/* A column that is not there is our mistake: as NULL it is harmless, and it is said. */
gboolean
rows_is_null(const struct rows *rows, int row, int column)
{
	if (row < 0 || row >= PQntuples(rows->result) || column < 0 ||
	    column >= PQnfields(rows->result)) {
		log_error("a row or column that the result does not have", "statement", rows->what);
		return TRUE;
	}
	return PQgetisnull(rows->result, row, column) != 0;
}

static guint64
big_endian(const guint8 *bytes, gsize length)
{
	guint64 value = 0;

	for (gsize i = 0; i < length; i++)
		value = value << 8 | bytes[i];
	return value;
}

static gint64
signed_of(const guint8 *bytes, gsize length)
{
	if (length == 2)
		return (gint16)big_endian(bytes, 2);
	if (length == 4)
		return (gint32)big_endian(bytes, 4);
	return length == 8 ? (gint64)big_endian(bytes, 8) : 0;
}

static double
float_of(const guint8 *bytes, gsize length)
{
	if (length == 4) {
		guint32 raw = (guint32)big_endian(bytes, 4);
		float value;
		memcpy(&value, &raw, sizeof(value));
		return (double)value;
	}
	guint64 raw = length == 8 ? big_endian(bytes, 8) : 0;
	double value;
	memcpy(&value, &raw, sizeof(value));
	return value;
}

/* Of -7 microseconds, the second before. */
static gint64
floor_seconds(gint64 microseconds)
{
	gint64 seconds = microseconds / USEC_PER_SEC;

	return microseconds % USEC_PER_SEC < 0 ? seconds - 1 : seconds;
}

static gint64
time_of(Oid type, const guint8 *bytes, gsize length)
{
	gint64 raw = signed_of(bytes, length);

	if (length == 8 && (raw == G_MAXINT64 || raw == G_MININT64))
		return raw == G_MAXINT64 ? CLOCK_NEVER : G_MININT64; /* infinity */
	if (type == OID_DATE)
		return raw * 86400 + EPOCH_2000;
	return floor_seconds(raw) + EPOCH_2000;
}

/* The whole part: count, weight of the first group, sign, scale, then groups of 0..9999. */
static gint64
numeric_of(const guint8 *bytes, gsize length)
{
	gint64 value = 0;

	if (length < 8)
		return 0;
	gint64 groups = signed_of(bytes, 2);
	gint64 weight = signed_of(bytes + 2, 2);
	guint64 sign = big_endian(bytes + 4, 2);
	if (sign == 0xC000 || length < 8 + (gsize)groups * 2)
		return 0; /* NaN */
	for (gint64 i = 0; i <= weight; i++) {
		gint64 group = i < groups ? signed_of(bytes + 8 + i * 2, 2) : 0;
		if (__builtin_mul_overflow(value, (gint64)10000, &value) ||
		    __builtin_add_overflow(value, group, &value))
			return sign == 0x4000 ? G_MININT64 : G_MAXINT64;
	}
	return sign == 0x4000 ? -value : value;
}

static gint64
double_to_int(double value)
{
	if (isnan(value))
		return 0;
	if (value >= 9.2e18)
		return G_MAXINT64;
	return value <= -9.2e18 ? G_MININT64 : (gint64)value;
}

static const guint8 *
cell(const struct rows *rows, int row, int column, Oid *type, gsize *length)
{
	*type = PQftype(rows->result, column);
	*length = (gsize)PQgetlength(rows->result, row, column);
	return (const guint8 *)PQgetvalue(rows->result, row, column);
}

gint64
rows_int(const struct rows *rows, int row, int column)
{
	Oid type;
	gsize length;

	if (rows_is_null(rows, row, column))
		return 0;
	const guint8 *bytes = cell(rows, row, column, &type, &length);
	switch (type) {
	case OID_BOOL:
		return length == 1 && bytes[0] != 0;
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
		return signed_of(bytes, length);
	case OID_OID:
		return (gint64)big_endian(bytes, length);
	case OID_FLOAT4:
	case OID_FLOAT8:
		return double_to_int(float_of(bytes, length));
	case OID_NUMERIC:
		return numeric_of(bytes, length);
	case OID_DATE:
	case OID_TIMESTAMP:
	case OID_TIMESTAMPTZ:
		return time_of(type, bytes, length);
	default:
		return g_ascii_strtoll((const char *)bytes, NULL, 10);
	}
}

gboolean
rows_bool(const struct rows *rows, int row, int column)
{
	return rows_int(rows, row, column) != 0;
}

gint64
rows_time(const struct rows *rows, int row, int column)
{
	return rows_is_null(rows, row, column) ? CLOCK_NEVER : rows_int(rows, row, column);
}

const char *
rows_text(const struct rows *rows, int row, int column)
{
	g_autofree char *made = NULL;
	Oid type;
	gsize length;

	if (rows_is_null(rows, row, column))
		return NULL;
	const guint8 *bytes = cell(rows, row, column, &type, &length);
	switch (type) {
	case OID_BOOL:
		return length == 1 && bytes[0] != 0 ? "true" : "false";
	case OID_INT2:
	case OID_INT4:
	case OID_INT8:
	case OID_OID:
	case OID_NUMERIC:
		made = g_strdup_printf("%" G_GINT64_FORMAT, rows_int(rows, row, column));
		break;
	case OID_FLOAT4:
	case OID_FLOAT8:
		made = g_malloc(G_ASCII_DTOSTR_BUF_SIZE);
		g_ascii_dtostr(made, G_ASCII_DTOSTR_BUF_SIZE, float_of(bytes, length));
		break;
	case OID_DATE:
	case OID_TIMESTAMP:
	case OID_TIMESTAMPTZ:
		made = clock_format(rows_int(rows, row, column));
		break;
	case OID_JSONB: /* a version byte stands before the text */
		return length > 0 ? (const char *)bytes + 1 : "";
	default:
		return (const char *)bytes;
	}
	return g_string_chunk_insert(rows->texts, made);
}

GBytes *
rows_bytes(const struct rows *rows, int row, int column)
{
	Oid type;
	gsize length;

	if (rows_is_null(rows, row, column))
		return NULL;
	const guint8 *bytes = cell(rows, row, column, &type, &length);
	return g_bytes_new(bytes, length);
}

static gboolean
array_next(const guint8 **p, const guint8 *end, gsize *length, gboolean *null)
{
	if (end - *p < 4)
		return FALSE;
	gint64 size = signed_of(*p, 4);
	*p += 4;
	*null = size < 0;
	*length = size < 0 ? 0 : (gsize)size;
	return (gsize)(end - *p) >= *length;
}

/* One dimension, elements that are text; NULL elements are left out. */
GStrv
rows_text_array(const struct rows *rows, int row, int column)
{
	g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
	Oid type;
	gsize length;

	if (rows_is_null(rows, row, column))
		return g_strv_builder_end(builder);
	const guint8 *p = cell(rows, row, column, &type, &length);
	const guint8 *end = p + length;
	if (length < 20 || signed_of(p, 4) != 1)
		return g_strv_builder_end(builder); /* an empty array has no dimensions */
	gint64 count = signed_of(p + 12, 4);
	p += 20;
	for (gint64 i = 0; i < MIN(count, ARRAY_MAX); i++) {
		gsize size = 0;
		gboolean null = FALSE;
		if (!array_next(&p, end, &size, &null))
			break;
		if (!null) {
			g_autofree char *element = g_strndup((const char *)p, size);
			g_strv_builder_add(builder, element);
		}
		p += size;
	}
	return g_strv_builder_end(builder);
}
