/*
 * soap - a bounded writer, and a reader over libxml2's tree.
 */
#include "pki/handlers/soap.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "store/base/error.h"
#include "store/base/secret.h"

#define REQUEST_MAX_BYTES (128 * 1024)
#define OPEN_MAX 16
#define DEPTH_MAX 32
#define NODES_MAX 200000
#define ENVELOPE "http://schemas.xmlsoap.org/soap/envelope/"

/* --- writing --- */

struct soap_writer {
	char *text; /* REQUEST_MAX_BYTES; never grows, so that no copy stays behind */
	gsize length;
	const char *operation, *prefix; /* prefix: of descendants */
	const char *open[OPEN_MAX];
	guint depth;
	gboolean too_large, unfit;
};

static void
append(struct soap_writer *writer, const char *text)
{
	gsize length = strlen(text);

	if (length > REQUEST_MAX_BYTES - writer->length) {
		writer->too_large = TRUE;
		return;
	}
	memcpy(writer->text + writer->length, text, length);
	writer->length += length;
}

/* XML 1.0 section 2.2: no control characters but tab and line ends. */
static void
append_escaped(struct soap_writer *writer, const char *text)
{
	if (!g_utf8_validate(text, -1, NULL)) {
		writer->unfit = TRUE;
		return;
	}
	for (const char *p = text; *p != '\0'; p++) {
		const char one[] = { *p, '\0' };

		writer->unfit |= (guchar)*p < ' ' && strchr("\t\n\r", *p) == NULL;
		append(writer, *p == '&'    ? "&amp;"
			       : *p == '<'  ? "&lt;"
			       : *p == '>'  ? "&gt;"
			       : *p == '"'  ? "&quot;"
			       : *p == '\r' ? "&#13;"
					    : one);
	}
}

static void
append_tag(struct soap_writer *writer, const char *start, const char *prefix, const char *name,
	   const char *end)
{
	append(writer, start);
	append(writer, prefix);
	append(writer, name);
	append(writer, end);
}

struct soap_writer *
soap_writer_new(const char *operation, const char *name_space, gboolean qualified)
{
	struct soap_writer *writer = g_new0(struct soap_writer, 1);

	writer->text = g_malloc(REQUEST_MAX_BYTES);
	writer->operation = operation;
	writer->prefix = qualified ? "q:" : "";
	append(writer, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s:Envelope xmlns:s=\"" ENVELOPE
		       "\"><s:Body>");
	append_tag(writer, "<", "q:", operation, " xmlns:q=\"");
	append_escaped(writer, name_space);
	append(writer, "\">");
	return writer;
}

void
soap_writer_free(struct soap_writer *writer)
{
	if (writer == NULL)
		return;
	wipe(writer->text, REQUEST_MAX_BYTES);
	g_free(writer->text);
	g_free(writer);
}

void
soap_open(struct soap_writer *writer, const char *name)
{
	append_tag(writer, "<", writer->prefix, name, ">");
	if (writer->depth < OPEN_MAX)
		writer->open[writer->depth++] = name;
	else
		writer->too_large = TRUE;
}

void
soap_close(struct soap_writer *writer)
{
	if (writer->depth > 0)
		append_tag(writer, "</", writer->prefix, writer->open[--writer->depth], ">");
}

void
soap_put(struct soap_writer *writer, const char *name, const char *value)
{
	if (value == NULL)
		return;
	append_tag(writer, "<", writer->prefix, name, ">");
	append_escaped(writer, value);
	append_tag(writer, "</", writer->prefix, name, ">");
}

struct secret *
soap_finish(struct soap_writer *writer, GError **error)
{
	while (writer->depth > 0)
		soap_close(writer);
	append_tag(writer, "</", "q:", writer->operation, "></s:Body></s:Envelope>");
	if (writer->too_large)
		return fail(error, PS_ERROR_INVALID, "the request is larger than %d bytes",
			    REQUEST_MAX_BYTES);
	if (writer->unfit)
		return fail(error, PS_ERROR_INVALID,
			    "a value of the request holds characters that XML cannot");
	return secret_new(writer->text, writer->length);
}

/* --- reading --- */

struct soap_answer {
	xmlDoc *document;
	const xmlNode *body;
};

/* A node of ours is one of libxml2. */
static const xmlNode *
xml(const struct soap_node *node)
{
	return (const xmlNode *)(const void *)node;
}

static const struct soap_node *
ours(const xmlNode *node)
{
	return (const struct soap_node *)(const void *)node;
}

static const xmlNode *
element_from(const xmlNode *node)
{
	while (node != NULL && node->type != XML_ELEMENT_NODE)
		node = node->next;
	return node;
}

static gboolean
is_named(const xmlNode *node, const char *name, gsize length)
{
	return strlen((const char *)node->name) == length &&
	       g_ascii_strncasecmp((const char *)node->name, name, length) == 0;
}

static const xmlNode *
child_named(const xmlNode *node, const char *name, gsize length)
{
	const xmlNode *child = node != NULL ? element_from(node->children) : NULL;

	while (child != NULL && !is_named(child, name, length))
		child = element_from(child->next);
	return child;
}

/* Entities that nobody declared stay nodes of their own: a document with one is refused. */
static gboolean
is_plain(const xmlNode *node, guint depth, guint *count)
{
	for (; node != NULL; node = node->next) {
		if (++*count > NODES_MAX || depth > DEPTH_MAX || node->type == XML_ENTITY_REF_NODE)
			return FALSE;
		if (node->type == XML_ELEMENT_NODE && !is_plain(node->children, depth + 1, count))
			return FALSE;
	}
	return TRUE;
}

struct soap_answer *
soap_parse(GBytes *bytes, GError **error)
{
	static const int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING |
				   XML_PARSE_NOCDATA | XML_PARSE_COMPACT;
	gsize length;
	const char *text = g_bytes_get_data(bytes, &length);
	guint count = 0;

	if (length == 0 || length > SOAP_ANSWER_MAX_BYTES)
		return fail(error, PS_ERROR_INVALID, "the answer is %s",
			    length == 0 ? "empty" : "too large");
	CLEANUP(soap_answer) struct soap_answer *answer = g_new0(struct soap_answer, 1);
	answer->document = xmlReadMemory(text, (int)length, "", NULL, options);
	const xmlNode *root =
	    answer->document != NULL ? xmlDocGetRootElement(answer->document) : NULL;
	if (root == NULL)
		return fail(error, PS_ERROR_INVALID, "the answer is not XML");
	if (answer->document->intSubset != NULL || answer->document->extSubset != NULL)
		return fail(error, PS_ERROR_INVALID, "the answer has a document type declaration");
	if (!is_plain(root, 0, &count))
		return fail(error, PS_ERROR_INVALID, "the answer is too deep or has entities");
	answer->body = is_named(root, "Envelope", 8) ? child_named(root, "Body", 4) : NULL;
	if (answer->body == NULL || root->ns == NULL ||
	    strcmp((const char *)root->ns->href, ENVELOPE) != 0)
		return fail(error, PS_ERROR_INVALID, "the answer is no SOAP 1.1 envelope");
	return g_steal_pointer(&answer);
}

void
soap_answer_free(struct soap_answer *answer)
{
	if (answer == NULL)
		return;
	xmlFreeDoc(answer->document);
	g_free(answer);
}

const struct soap_node *
soap_body(const struct soap_answer *answer)
{
	return ours(element_from(answer->body->children));
}

gboolean
soap_fault(const struct soap_answer *answer, char **code, char **text)
{
	const xmlNode *fault = element_from(answer->body->children);

	*code = *text = NULL;
	if (fault == NULL || !is_named(fault, "Fault", 5))
		return FALSE;
	*code = soap_text(ours(fault), "faultcode", 200);
	*text = soap_text(ours(fault), "faultstring", 64 * 1024);
	if (*code != NULL && strchr(*code, ':') != NULL)
		memmove(*code, strchr(*code, ':') + 1, strlen(strchr(*code, ':')));
	return TRUE;
}

const struct soap_node *
soap_find(const struct soap_node *node, const char *path)
{
	const xmlNode *at = xml(node);

	while (at != NULL && *path != '\0') {
		gsize length = strcspn(path, "/");

		at = child_named(at, path, length);
		path += length;
		if (*path == '/')
			path++;
	}
	return ours(at);
}

const struct soap_node *
soap_next(const struct soap_node *node)
{
	const char *name = (const char *)xml(node)->name;
	const xmlNode *at = element_from(xml(node)->next);

	while (at != NULL && !is_named(at, name, strlen(name)))
		at = element_from(at->next);
	return ours(at);
}

char *
soap_text(const struct soap_node *node, const char *path, gsize max_bytes)
{
	const xmlNode *at = xml(soap_find(node, path));

	if (at == NULL)
		return NULL;
	GString *text = g_string_new(NULL);
	for (const xmlNode *child = at->children; child != NULL; child = child->next)
		if ((child->type == XML_TEXT_NODE || child->type == XML_CDATA_SECTION_NODE) &&
		    text->len <= max_bytes)
			g_string_append(text, (const char *)child->content);
	if (text->len > max_bytes) {
		g_string_free(text, TRUE);
		return NULL;
	}
	return g_strstrip(g_string_free(text, FALSE));
}
