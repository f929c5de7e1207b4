/*
 * fuzz_protected - any bytes as a message whose header is protected, and as the payload of one:
 * what is made can be read again, and what is read never makes a field that could be two, never
 * changes From, and gives nothing without cover.
 */
#include <stdint.h>
#include <string.h>

#include "milter/mime/canonical.h"
#include "milter/mime/protect.h"
#include "milter/mime/protected.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char outside[] = "From: A <a@b.example>\r\nTo: b@c.example\r\nSubject: [...]\r\n\r\n";

static struct mime_tree *
read_message(struct spool_area *area, const void *bytes, gsize size, struct headers **headers,
	     struct spool **spool, guint64 *body)
{
	*spool = spool_from_bytes(area, bytes, size, NULL);
	*headers = headers_parse(*spool, 0, size, body, NULL);
	return *headers != NULL ? scan_message(*headers, *spool, *body, size, NULL) : NULL;
}

/* One field in, one field out. */
static void
check_value(const char *value)
{
	for (const char *at = value; *at != '\0'; at++) {
		if (*at == '\r')
			g_error("a CR in a field");
		if (*at == '\n' && at[1] != ' ' && at[1] != '\t')
			g_error("a field that is two");
		if ((guchar)*at > 127)
			g_error("a field with other octets than ASCII");
	}
}

static void
check_shown(const struct protected_fields *inside, const struct headers *outer)
{
	CLEANUP(edits) struct edits *edits = edits_new();

	protected_show(inside, outer, NULL, edits);
	for (guint i = 0; i < edits_count(edits); i++) {
		const struct edit *edit = edits_at(edits, i);

		if (g_ascii_strcasecmp(edit->name, "From") == 0 ||
		    g_ascii_strcasecmp(edit->name, "Bcc") == 0 ||
		    g_ascii_strcasecmp(edit->name, "Sender") == 0)
			g_error("%s is changed", edit->name);
		if (edit->value != NULL)
			check_value(edit->value);
	}
}

static void
check_payload(struct spool_area *area, const struct mime_tree *payload, struct headers *fields,
	      struct spool *spool, guint64 body, gsize size)
{
	CLEANUP(headers) struct headers *outer = NULL;
	CLEANUP(spool) struct spool *outer_spool = NULL;
	guint64 start = 0;
	CLEANUP(mime_tree)
	struct mime_tree *message =
	    read_message(area, outside, strlen(outside), &outer, &outer_spool, &start);
	CLEANUP(entity) struct entity *content = entity_new(fields, spool, 0, body, size);

	g_assert_nonnull(message);
	g_assert_null(protected_read(payload, outer, FALSE, FALSE));
	for (guint cover = 1; cover < 4; cover++) {
		CLEANUP(protected_fields)
		struct protected_fields *inside =
		    protected_read(payload, outer, (cover & 1) != 0, (cover & 2) != 0);
		CLEANUP(entity) struct entity *shown = NULL;

		if (inside == NULL)
			continue;
		check_shown(inside, outer);
		protected_author_differs(inside, NULL);
		/* An encoding may break the limits of a header, and nothing else can go wrong. */
		if (!protected_content(inside, content, area, &shown, NULL))
			continue;
		if (shown != NULL && spool_size(shown->spool) > 4 * size + 4096)
			g_error("what is shown is longer than what was there");
	}
}

/* Made, read again: the same Subject, and nothing of what stays outside. */
static void
check_made(struct spool_area *area, struct mime_tree *tree, const struct headers *fields,
	   gboolean is_signed)
{
	CLEANUP(canonical)
	struct canonical *canonical = is_signed ? canonical_for_signing(tree, area, NULL)
						: canonical_for_encryption(tree, area, NULL);
	struct protect_request request = { fields, area, TRUE, TRUE, is_signed };
	gboolean needs_opaque = canonical->needs_opaque;
	CLEANUP(spool)
	struct spool *payload = protect_entity(canonical->entity, &request, &needs_opaque, NULL);
	CLEANUP(headers) struct headers *inner = NULL;
	CLEANUP(mime_tree) struct mime_tree *again = NULL;
	CLEANUP(protected_fields) struct protected_fields *inside = NULL;
	guint64 body = 0;

	if (payload == NULL)
		g_error("no payload");
	inner = headers_parse(payload, 0, spool_size(payload), &body, NULL);
	if (inner == NULL)
		g_error("a payload that cannot be read");
	again = scan_message(inner, payload, body, spool_size(payload), NULL);
	inside = protected_read(again, fields, TRUE, TRUE);
	if (inside == NULL || inside->scheme != PROTECTED_HP || !inside->cipher)
		g_error("a payload that protects nothing");
	if (headers_count_of(inner, "Bcc") > 0 || headers_count_of(inner, "Received") > 0)
		g_error("a field that stays outside is inside");
	if (headers_count_of(fields, "Subject") == 1 && (is_signed || inside->fields->len > 0) &&
	    protected_find(inside, "Subject") == NULL)
		g_error("the Subject is lost");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(spool_area) struct spool_area *area = spool_area_new_memory(100000000);
	CLEANUP(headers) struct headers *fields = NULL;
	CLEANUP(spool) struct spool *spool = NULL;
	guint64 body = 0;
	CLEANUP(mime_tree)
	struct mime_tree *tree = read_message(area, data, size, &fields, &spool, &body);

	if (tree == NULL)
		return 0;
	check_payload(area, tree, fields, spool, body, size);
	check_made(area, tree, fields, TRUE);
	check_made(area, tree, fields, FALSE);
	return 0;
}
