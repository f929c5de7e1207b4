/*
 * fuzz_edits - any bytes as a header and a list of edits.
 *
 * Whatever the edits: an MTA that applies them one by one gets the header that
 * edits_apply_headers() gives, whether it renumbers the fields after a deletion or not; and the
 * size that was foretold is the size of the message that is written.
 */
#include <glib.h>
#include <stdint.h>
#include <string.h>

#include "milter/message/edits.h"
#include "milter/message/headers.h"
#include "milter/message/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIELDS_MAX 12
#define EDITS_MAX 16

struct input {
	const uint8_t *at, *end;
};

/* A field as an MTA holds it. */
struct field {
	char *name, *value;
	guint number; /* the occurrence it came with; 0: new */
	gboolean gone;
};

static uint8_t
take(struct input *input)
{
	return input->at < input->end ? *input->at++ : 0;
}

static const char *
take_name(struct input *input)
{
	static const char *const names[] = { "Subject", "subject", "To", "X-A", "x-a", "SUBJECT" };

	return names[take(input) % G_N_ELEMENTS(names)];
}

static char *
take_value(struct input *input)
{
	gsize wanted = take(input) & 15;
	gsize length = MIN(wanted, (gsize)(input->end - input->at));
	GString *value = g_string_new(" ");

	for (gsize i = 0; i < length; i++) {
		char octet = (char)*input->at++;

		g_string_append_c(value,
				  octet == '\0' || octet == '\r' || octet == '\n' ? '.' : octet);
	}
	if (wanted & 8)
		g_string_append(value, "\n folded");
	return g_string_free(value, FALSE);
}

static void
field_free(gpointer data)
{
	struct field *field = data;

	g_free(field->name);
	g_free(field->value);
	g_free(field);
}

static struct field *
field_new(const char *name, const char *value, guint number)
{
	struct field *field = g_new0(struct field, 1);

	field->name = g_strdup(name);
	field->value = g_strdup(value);
	field->number = number;
	return field;
}

static struct headers *
take_headers(struct input *input)
{
	struct headers *headers = headers_new();

	for (guint i = take(input) % FIELDS_MAX; i > 0; i--) {
		g_autofree char *value = take_value(input);

		g_assert_true(headers_add(headers, take_name(input), value, strlen(value), NULL));
	}
	return headers;
}

static void
take_edits(struct input *input, const struct headers *headers, struct edits *edits)
{
	for (guint i = take(input) % EDITS_MAX; i > 0; i--) {
		const char *name = take_name(input);
		guint count = headers_count_of(headers, name);
		guint occurrence = count > 0 ? take(input) % count + 1 : 0;
		g_autofree char *value = take_value(input);

		switch (take(input) % 6) {
		case 0:
			if (occurrence > 0)
				edits_change(edits, name, occurrence, value);
			break;
		case 1:
			if (occurrence > 0)
				edits_delete(edits, name, occurrence);
			break;
		case 2:
			edits_insert_top(edits, name, value);
			break;
		case 3:
			edits_append(edits, name, value);
			break;
		case 4:
			edits_replace(edits, headers, name, value);
			break;
		case 5:
			edits_delete_all(edits, headers, name);
			break;
		}
	}
}

/* The occurrence-th field of that name; new ones above have not come yet. */
static struct field *
find_field(GPtrArray *fields, const struct edit *edit, gboolean renumbers)
{
	guint seen = 0;

	for (guint i = 0; i < fields->len; i++) {
		struct field *field = fields->pdata[i];

		if (g_ascii_strcasecmp(field->name, edit->name) != 0)
			continue;
		if (!renumbers && field->number == edit->occurrence)
			return field;
		if (renumbers && !field->gone && ++seen == edit->occurrence)
			return field;
	}
	return NULL;
}

/* The header after all edits, one by one. */
static char *
apply_as_mta(const struct headers *headers, struct edits *edits, gboolean renumbers)
{
	g_autoptr(GPtrArray) fields = g_ptr_array_new_with_free_func(field_free);
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *header = headers_at(headers, i);

		g_ptr_array_add(fields, field_new(header->name, header->value, header->occurrence));
	}
	for (guint i = 0; i < edits_count(edits); i++) {
		const struct edit *edit = edits_at(edits, i);
		struct field *field;

		if (edit->kind == EDIT_TOP) {
			g_ptr_array_insert(fields, 0, field_new(edit->name, edit->value, 0));
		} else if (edit->kind == EDIT_APPEND) {
			g_ptr_array_add(fields, field_new(edit->name, edit->value, 0));
		} else {
			field = find_field(fields, edit, renumbers);
			g_assert_nonnull(field);
			field->gone = edit->kind == EDIT_DELETE;
			g_free(field->value);
			field->value = g_strdup(edit->value);
		}
	}
	for (guint i = 0; i < fields->len; i++) {
		const struct field *field = fields->pdata[i];

		if (!field->gone)
			g_string_append_printf(text, "%s:%s\n", field->name, field->value);
	}
	return g_string_free(text, FALSE);
}

static char *
text_of(const struct headers *headers)
{
	GString *text = g_string_new(NULL);

	for (guint i = 0; i < headers_count(headers); i++) {
		const struct header *header = headers_at(headers, i);

		g_string_append_printf(text, "%s:%s\n", header->name, header->value);
	}
	return g_string_free(text, FALSE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, data + size };
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(1024 * 1024);
	CLEANUP(headers) struct headers *headers = take_headers(&input);
	CLEANUP(edits) struct edits *edits = edits_new();
	CLEANUP(headers) struct headers *result = NULL;
	CLEANUP(spool) struct spool *body = spool_from_bytes(area, "body\r\n", 6, NULL);
	CLEANUP(spool) struct spool *written = spool_new(area);

	take_edits(&input, headers, edits);
	result = edits_apply_headers(edits, headers, NULL);
	g_assert_nonnull(result);
	g_autofree char *wanted = text_of(result);
	g_autofree char *renumbered = apply_as_mta(headers, edits, TRUE);
	g_autofree char *numbered = apply_as_mta(headers, edits, FALSE);

	g_assert_cmpstr(renumbered, ==, wanted);
	g_assert_cmpstr(numbered, ==, wanted);
	g_assert_true(edits_apply_to_message(edits, headers, body, spool_sink(written), NULL));
	g_assert_cmpuint(spool_size(written), ==, edits_message_size(edits, headers, body));
	return 0;
}
