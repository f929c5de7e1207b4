/*
 * soap - SOAP 1.1 envelopes, written and read. The only user of libxml2.
 *
 * What is written is escaped and lives in locked memory at the end; the buffer on the way is wiped.
 * What is read is bounded in bytes, depth and nodes; documents with a DTD are refused, no entity is
 * replaced, nothing is loaded. Elements are found by their local name, whatever their namespace and
 * case: services are not of one mind there. Threads: any; a writer or answer belongs to one.
 */
#ifndef PKI_HANDLERS_SOAP_H
#define PKI_HANDLERS_SOAP_H

#include <glib.h>

#include "store/base/cleanup.h"

#define SOAP_ANSWER_MAX_BYTES (8 * 1024 * 1024)

struct secret;
struct soap_answer;
struct soap_node; /* belongs to its answer */
struct soap_writer;

/* operation: the element in the body, in this namespace; qualified: its descendants, too. */
struct soap_writer *soap_writer_new(const char *operation, const char *name_space,
				    gboolean qualified);
void soap_writer_free(struct soap_writer *writer);
void soap_open(struct soap_writer *writer, const char *name);
void soap_close(struct soap_writer *writer);
/* value NULL: left out. */
void soap_put(struct soap_writer *writer, const char *name, const char *value);
/* The whole envelope. INVALID: a value held what XML cannot, or it is too large. */
struct secret *soap_finish(struct soap_writer *writer, GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* INVALID: no SOAP envelope. */
struct soap_answer *soap_parse(GBytes *bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void soap_answer_free(struct soap_answer *answer);
/* The first element of the body; NULL: it is empty. */
const struct soap_node *soap_body(const struct soap_answer *answer);
/* The text of a fault's faultcode (without prefix) and faultstring, the caller's; FALSE: it is
 * none. */
gboolean soap_fault(const struct soap_answer *answer, char **code, char **text);
/* Down a path of names ("Response/OrderID"); NULL: not there. */
const struct soap_node *soap_find(const struct soap_node *node, const char *path);
/* The next element of the same name beside it. */
const struct soap_node *soap_next(const struct soap_node *node);
/* Its text without blanks around it; NULL: not there, or longer than max_bytes; the caller's. */
char *soap_text(const struct soap_node *node, const char *path, gsize max_bytes);

DEFINE_CLEANUP(soap_writer, soap_writer_free)
DEFINE_CLEANUP(soap_answer, soap_answer_free)

#endif
