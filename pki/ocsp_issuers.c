/*
 * ocsp_issuers - our CAs and roots, merged by name and key.
 */
#include "pki/ocsp_issuers.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/ocsp_answers.h"

struct ocsp_issuers {
	int references;
	GPtrArray *list; /* struct ocsp_issuer */
};

static void
issuer_free(gpointer data)
{
	struct ocsp_issuer *issuer = data;

	cert_unref(issuer->cert);
	g_array_unref(issuer->ca_ids);
	g_ptr_array_unref(issuer->roots);
	g_free(issuer);
}

const struct ocsp_issuer *
ocsp_issuers_by_key(const struct ocsp_issuers *issuers, const char *issuer_key,
		    const char *issuer_spki)
{
	for (guint i = 0; i < issuers->list->len; i++) {
		const struct ocsp_issuer *issuer = g_ptr_array_index(issuers->list, i);

		if (strcmp(cert_subject_key(issuer->cert), issuer_key) == 0 &&
		    strcmp(cert_spki_sha256(issuer->cert), issuer_spki) == 0)
			return issuer;
	}
	return NULL;
}

static gboolean
is_compromise(gint reason)
{
	return reason == REVOCATION_KEY_COMPROMISE || reason == REVOCATION_CA_COMPROMISE;
}

static void
take_row(struct ocsp_issuers *issuers, const struct ocsp_issuer_row *row)
{
	g_autoptr(GError) why = NULL;
	CLEANUP(cert) struct cert *cert = cert_parse(row->der, &why);

	if (cert == NULL) {
		log_warning("a certificate of a CA cannot be read: nothing is said about what it "
			    "issued",
			    "error", why->message);
		return;
	}
	struct ocsp_issuer *issuer = (struct ocsp_issuer *)ocsp_issuers_by_key(
	    issuers, cert_subject_key(cert), cert_spki_sha256(cert));
	if (issuer == NULL) {
		issuer = g_new0(struct ocsp_issuer, 1);
		issuer->cert = cert_ref(cert);
		issuer->ca_ids = g_array_new(FALSE, FALSE, sizeof(gint64));
		issuer->roots = g_ptr_array_new_with_free_func(g_free);
		issuer->compromised_at = CLOCK_NEVER;
		g_ptr_array_add(issuers->list, issuer);
	}
	if (cert_not_after(cert) > cert_not_after(issuer->cert)) {
		cert_unref(issuer->cert);
		issuer->cert = cert_ref(cert);
	}
	if (row->ca_id != 0)
		g_array_append_val(issuer->ca_ids, row->ca_id);
	if (row->root != NULL)
		g_ptr_array_add(issuer->roots, g_strdup(row->root));
	if (row->revoked_at != CLOCK_NEVER && is_compromise(row->revoked_reason))
		issuer->compromised_at = MIN(issuer->compromised_at, row->revoked_at);
	ocsp_issuer_hash(issuer->cert, &issuer->hashes);
}

struct ocsp_issuers *
ocsp_issuers_load(struct db *db, GError **error)
{
	g_autoptr(GPtrArray) rows = ocsp_issuers_list(db, error);

	if (rows == NULL)
		return NULL;
	struct ocsp_issuers *issuers = g_new0(struct ocsp_issuers, 1);
	issuers->references = 1;
	issuers->list = g_ptr_array_new_with_free_func(issuer_free);
	for (guint i = 0; i < rows->len; i++)
		take_row(issuers, g_ptr_array_index(rows, i));
	return issuers;
}

struct ocsp_issuers *
ocsp_issuers_ref(struct ocsp_issuers *issuers)
{
	g_atomic_int_inc(&issuers->references);
	return issuers;
}

void
ocsp_issuers_unref(struct ocsp_issuers *issuers)
{
	if (issuers == NULL || !g_atomic_int_dec_and_test(&issuers->references))
		return;
	g_ptr_array_unref(issuers->list);
	g_free(issuers);
}

const struct ocsp_issuer *
ocsp_issuers_find(const struct ocsp_issuers *issuers, const struct ocsp_id *id)
{
	for (guint i = 0; i < issuers->list->len; i++) {
		const struct ocsp_issuer *issuer = g_ptr_array_index(issuers->list, i);

		if (ocsp_id_is_of(id, &issuer->hashes))
			return issuer;
	}
	return NULL;
}

gsize
ocsp_issuers_count(const struct ocsp_issuers *issuers)
{
	return issuers->list->len;
}

const struct ocsp_issuer *
ocsp_issuers_nth(const struct ocsp_issuers *issuers, gsize i)
{
	return g_ptr_array_index(issuers->list, i);
}
