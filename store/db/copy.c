/*
 * copy - the binary format of COPY: a signature, tuples of length and bytes, an end mark.
 */
#include "store/db/copy.h"

#include <string.h>

#include "store/base/error.h"
#include "store/db/internal.h"

#define BUFFER_BYTES (64 * 1024)
#define EPOCH_2000 G_GINT64_CONSTANT(946684800)
#define USEC_PER_SEC G_GINT64_CONSTANT(1000000)

/* Eleven bytes, then 32 bits of flags and the length of an extension that is not there. */
static const char signature[19] = "PGCOPY\n\377\r\n";

struct copy {
	struct tx *tx;
	struct connection *connection;
	GByteArray *buffer;
	int columns;
	int filled; /* of the row under way; columns before the first */
	gint64 rows;
	gboolean open; /* the server is in COPY */
	GError *error; /* the first */
};

static void
send_buffer(struct copy *copy)
{
	if (copy->error == NULL && copy->open && copy->buffer->len > 0 &&
	    !connection_copy_put(copy->connection, (const char *)copy->buffer->data,
				 copy->buffer->len, &copy->error))
		copy->open = FALSE;
	g_byte_array_set_size(copy->buffer, 0);
}

static void
put(struct copy *copy, gconstpointer bytes, gsize length)
{
	const guint8 *p = bytes;

	while (length > 0 && copy->error == NULL) {
		gsize part = MIN(length, BUFFER_BYTES - copy->buffer->len);

		g_byte_array_append(copy->buffer, p, (guint)part);
		p += part;
		length -= part;
		if (copy->buffer->len == BUFFER_BYTES)
			send_buffer(copy);
	}
}

static void
put_int16(struct copy *copy, gint16 value)
{
	guint16 wire = GUINT16_TO_BE((guint16)value);

	put(copy, &wire, sizeof(wire));
}

static void
put_int32(struct copy *copy, gint32 value)
{
	guint32 wire = GUINT32_TO_BE((guint32)value);

	put(copy, &wire, sizeof(wire));
}

static void
check_row(struct copy *copy)
{
	if (copy->filled != copy->columns && copy->error == NULL)
		fail(&copy->error, PS_ERROR_BUG, "a row of COPY has %d values instead of %d",
		     copy->filled, copy->columns);
}

static gboolean
begin_field(struct copy *copy)
{
	if (copy->filled == copy->columns && copy->error == NULL)
		fail(&copy->error, PS_ERROR_BUG, "a row of COPY has more than %d values",
		     copy->columns);
	copy->filled++;
	return copy->error == NULL;
}

static void
put_field(struct copy *copy, gconstpointer bytes, gsize length)
{
	if (length > G_MAXINT32 && copy->error == NULL)
		fail(&copy->error, PS_ERROR_INVALID, "a value of %zu bytes is too large", length);
	if (!begin_field(copy))
		return;
	put_int32(copy, (gint32)length);
	put(copy, bytes, length);
}

struct copy *
tx_copy_in(struct tx *tx, const char *copy_sql, int columns, GError **error)
{
	struct connection *connection = tx_connection(tx);

	if (!tx_set_patience(tx, COPY_PATIENCE_SECONDS, error))
		return NULL;
	if (!connection_copy_begin(connection, copy_sql, error)) {
		tx_note_failure(tx);
		return NULL;
	}
	struct copy *copy = g_new0(struct copy, 1);
	copy->tx = tx;
	copy->connection = connection;
	copy->columns = columns;
	copy->filled = columns;
	copy->open = TRUE;
	copy->buffer = g_byte_array_sized_new(BUFFER_BYTES);
	put(copy, signature, sizeof(signature));
	return copy;
}

void
copy_row(struct copy *copy)
{
	check_row(copy);
	copy->filled = 0;
	copy->rows++;
	put_int16(copy, (gint16)copy->columns);
}

void
copy_text(struct copy *copy, const char *or_null)
{
	if (or_null == NULL)
		copy_null(copy);
	else
		put_field(copy, or_null, strlen(or_null));
}

void
copy_int(struct copy *copy, gint64 value)
{
	guint64 wire = GUINT64_TO_BE((guint64)value);

	put_field(copy, &wire, sizeof(wire));
}

void
copy_int4(struct copy *copy, gint32 value)
{
	guint32 wire = GUINT32_TO_BE((guint32)value);

	put_field(copy, &wire, sizeof(wire));
}

void
copy_int2(struct copy *copy, gint16 value)
{
	guint16 wire = GUINT16_TO_BE((guint16)value);

	put_field(copy, &wire, sizeof(wire));
}

void
copy_bool(struct copy *copy, gboolean value)
{
	guint8 wire = value ? 1 : 0;

	put_field(copy, &wire, sizeof(wire));
}

void
copy_time(struct copy *copy, gint64 seconds)
{
	if (seconds == CLOCK_NEVER)
		copy_null(copy);
	else
		copy_int(copy, (seconds - EPOCH_2000) * USEC_PER_SEC);
}

void
copy_bytes(struct copy *copy, gconstpointer bytes, gsize length)
{
	put_field(copy, bytes, length);
}

void
copy_null(struct copy *copy)
{
	if (begin_field(copy))
		put_int32(copy, -1);
}

gboolean
copy_failed(const struct copy *copy)
{
	return copy->error != NULL;
}

static void
copy_free(struct copy *copy)
{
	g_byte_array_unref(copy->buffer);
	g_clear_error(&copy->error);
	g_free(copy);
}

gboolean
copy_end(struct copy *copy, gint64 *rows, GError **error)
{
	gboolean good;

	check_row(copy);
	put_int16(copy, -1);
	send_buffer(copy);
	good = copy->error == NULL;
	if (copy->open && !connection_copy_end(copy->connection, good ? NULL : "given up",
					       good ? &copy->error : NULL))
		good = FALSE;
	if (good && rows != NULL)
		*rows = copy->rows;
	if (!good) {
		tx_note_failure(copy->tx);
		g_propagate_error(error, g_steal_pointer(&copy->error));
	}
	copy_free(copy);
	return good;
}

void
copy_abandon(struct copy *copy)
{
	if (copy == NULL)
		return;
	if (copy->open)
		(void)connection_copy_end(copy->connection, "given up", NULL);
	copy_free(copy);
}
