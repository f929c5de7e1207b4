/*
 * remembered - a table by owner and document.
 */
#include "pki/handlers/remembered.h"

#include "store/base/clock.h"

#define DOCUMENTS_MAX 64

struct document {
	GBytes *bytes;
	gint64 until_us;
};

static GMutex lock;
static GHashTable *documents;

static void
document_free(gpointer data)
{
	struct document *document = data;

	g_bytes_unref(document->bytes);
	g_free(document);
}

static char *
name_of(const char *owner, const char *what)
{
	return g_strconcat(owner, " ", what, NULL);
}

GBytes *
remembered_find(const char *owner, const char *what)
{
	g_autofree char *name = name_of(owner, what);
	GBytes *found = NULL;

	g_mutex_lock(&lock);
	const struct document *document =
	    documents != NULL ? g_hash_table_lookup(documents, name) : NULL;
	if (document != NULL && document->until_us > clock_monotonic_us())
		found = g_bytes_ref(document->bytes);
	g_mutex_unlock(&lock);
	return found;
}

void
remembered_keep(const char *owner, const char *what, GBytes *bytes, gint64 seconds)
{
	struct document *document = g_new0(struct document, 1);

	document->bytes = g_bytes_ref(bytes);
	document->until_us = clock_monotonic_us() + seconds * G_USEC_PER_SEC;
	g_mutex_lock(&lock);
	if (documents == NULL)
		documents = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, document_free);
	if (g_hash_table_size(documents) >= DOCUMENTS_MAX)
		g_hash_table_remove_all(documents);
	g_hash_table_replace(documents, name_of(owner, what), document);
	g_mutex_unlock(&lock);
}

static gboolean
belongs_to(gpointer name, gpointer document, gpointer prefix)
{
	(void)document;
	return g_str_has_prefix(name, prefix);
}

void
remembered_drop(const char *owner)
{
	g_autofree char *prefix = name_of(owner, "");

	g_mutex_lock(&lock);
	if (documents != NULL)
		g_hash_table_foreach_remove(documents, belongs_to, prefix);
	g_mutex_unlock(&lock);
}
