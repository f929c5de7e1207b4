/*
 * ca_crl - revocation lists of our own CAs (RFC 5280 section 5, S/MIME BR 4.9.7 and 7.2).
 */
#include "pki/ca_crl.h"

#include <string.h>

#include "pki/ca_internal.h"
#include "pki/crypto/cert.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/ca_lists.h"
#include "store/ca_revocations.h"
#include "store/crl_entries.h"
#include "store/db/tx.h"

#define CRL_DAYS_MAX 365
#define NAMED_MAX 50
#define CRL_NUMBERS_A_SECOND 1000

/* An entry leaves once a list made after the certificate's end has had it (RFC 5280 3.3). */
static gboolean
is_on_list(const struct revocation_row *row, const struct ca_list_row *list)
{
	return row->partition == list->partition &&
	       (row->not_after == CLOCK_NEVER || list->made == CLOCK_NEVER ||
		list->made <= row->not_after || row->revoked_at > list->made);
}

static struct issue_revoked *
entries_of(const struct ca_list_row *list, const GPtrArray *revocations, gsize *count)
{
	struct issue_revoked *revoked = g_new0(struct issue_revoked, revocations->len + 1);

	*count = 0;
	for (guint i = 0; i < revocations->len; i++) {
		const struct revocation_row *row = g_ptr_array_index(revocations, i);
		if (is_on_list(row, list))
			revoked[(*count)++] =
			    (struct issue_revoked){ row->serial, row->revoked_at,
						    (enum crl_reason)row->reason };
	}
	return revoked;
}

/* Signs and stores the list of one part. */
static GBytes *
make_part(const struct ca_context *context, const struct ca_crl_signer *signer,
	  struct ca_list_row *list, gboolean partitioned, const GPtrArray *revocations,
	  struct tx *tx, GError **error)
{
	gint64 now = clock_now(context->clock);
	gsize entries;
	g_autofree struct issue_revoked *revoked = entries_of(list, revocations, &entries);
	gboolean is_new;
	struct issue_crl_spec spec = {
		.this_update = now,
		.next_update = MIN(now + signer->days * 86400, cert_not_after(signer->cert)),
		.number = (guint64)signer->number,
		.hash = signer->hash,
		.revoked = revoked,
		.revoked_count = entries,
		.points = partitioned ? (const char *const *)list->urls : NULL,
		/* What names no distribution point is in the first part. */
		.with_name = list->partition == 0,
	};

	CLEANUP(crl) struct crl *crl = issue_crl(&spec, signer->cert, signer->key, error);
	if (crl == NULL || !import_crl(context->db, tx, crl, signer->cert, "ca", &is_new, error))
		return NULL;
	g_free(list->thumbprint);
	list->thumbprint = g_strdup(crl_thumbprint(crl));
	list->number = signer->number;
	list->made = now;
	list->next_update = spec.next_update;
	if (!ca_lists_save(tx, list, error))
		return NULL;
	return g_bytes_ref(crl_der(crl));
}

/* A list without a scope, or with another one, would go on saying that the rest is good. */
static gboolean
drop_left_over(const struct ca_crl_signer *signer, const GPtrArray *lists, struct tx *tx,
	       GError **error)
{
	g_autofree const char **present = g_new0(const char *, lists->len + 1);

	for (guint i = 0; i < lists->len; i++)
		present[i] = ((const struct ca_list_row *)g_ptr_array_index(lists, i))->thumbprint;
	g_auto(GStrv) old =
	    ca_lists_left_over(tx, cert_subject_key(signer->cert), cert_spki_sha256(signer->cert),
			       present, lists->len, error);
	if (old == NULL)
		return FALSE;
	for (char **one = old; *one != NULL; one++)
		if (!crls_delete(tx, *one, error))
			return FALSE;
	return TRUE;
}

/* A database that was set back, by a restore or to a replica that lagged, knows a smaller number
 * than the list that was published last; whoever has that one would not take the next. The time
 * has gone on. */
gint64
ca_crl_number_least(const struct ca_context *context)
{
	return clock_now(context->clock) * CRL_NUMBERS_A_SECOND;
}

gboolean
ca_crl_make(const struct ca_context *context, const struct ca_crl_signer *signer,
	    const GPtrArray *revocations, GBytes **first, struct tx *tx, GError **error)
{
	const struct ca_list_row zero = {
		.issuer = (char *)cert_thumbprint(signer->cert),
		.key_id = (char *)ca_key_id(signer->cert),
	};
	g_autoptr(GPtrArray) none = g_ptr_array_new();

	if (!ca_lists_add_url(tx, &zero, NULL, error))
		return FALSE;
	g_autoptr(GPtrArray) lists = ca_lists_find_in_tx(tx, zero.issuer, error);
	if (lists == NULL)
		return FALSE;
	for (guint i = 0; i < lists->len; i++) {
		g_autoptr(GBytes) der =
		    make_part(context, signer, g_ptr_array_index(lists, i), lists->len > 1,
			      revocations != NULL ? revocations : none, tx, error);
		if (der == NULL)
			return FALSE;
		if (i == 0 && first != NULL)
			*first = g_steal_pointer(&der);
	}
	return drop_left_over(signer, lists, tx, error);
}

/* Starting anew takes revoked certificates off the list: nobody does that by mistake. */
static gboolean
may_drop(const GPtrArray *dropped, const char *name, gboolean confirmed, GError **error)
{
	g_autoptr(GString) names = g_string_new(NULL);

	if (dropped->len == 0 || confirmed)
		return TRUE;
	for (guint i = 0; i < dropped->len && i < NAMED_MAX; i++) {
		const struct revocation_row *row = g_ptr_array_index(dropped, i);
		g_string_append_printf(names, "%s%s", i > 0 ? ", " : "", row->serial);
	}
	return fail_false(error, PS_ERROR_DENIED,
			  "%u revoked certificates would drop out of the CRL of '%s': %s%s",
			  dropped->len, name, names->str, dropped->len > NAMED_MAX ? " ..." : "");
}

static gboolean
signer_set(struct ca_crl_signer *signer, const struct ca_context *context,
	   const struct ca_crl *options, GError **error)
{
	if (options->digest != NULL && !ca_digest_parse(options->digest, &signer->hash, error))
		return FALSE;
	if (options->days < 0 || options->days > CRL_DAYS_MAX)
		return fail_false(error, PS_ERROR_INVALID, "the next CRL is due in 1 to %d days",
				  CRL_DAYS_MAX);
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(context->db, error);
	if (defaults == NULL)
		return FALSE;
	signer->days = options->days != 0 ? options->days : defaults->crl_days;
	signer->partition_entries = defaults->crl_partition_entries;
	return TRUE;
}

/* Made again after two thirds, so that a daemon that was away for days is in time. */
static gint64
next_time(const struct ca_context *context, const struct ca_crl_signer *signer)
{
	return clock_now(context->clock) + signer->days * 86400 * 2 / 3;
}

static GBytes *
root_crl(const struct ca_context *context, const struct ca_root_row *root,
	 const struct ca_crl *options, struct ca_crl_signer signer, struct tx *tx, GError **error)
{
	g_autoptr(GBytes) der = NULL;

	CLEANUP(cert) struct cert *cert = ca_known_cert(tx, root->thumbprint, error);
	CLEANUP(key)
	struct key *key =
	    cert != NULL ? keyring_find(context->keyring, root->spki_sha256, error) : NULL;
	/* The number is the lock: lists of one issuer are made one after the other. */
	if (key == NULL ||
	    !ca_roots_next_crl_number(tx, root->thumbprint, ca_crl_number_least(context),
				      &signer.number, error))
		return NULL;
	g_autoptr(GPtrArray) revocations = ca_roots_revocations(tx, root->thumbprint, error);
	if (revocations == NULL || (options->anew && !may_drop(revocations, cert_subject(cert),
							       options->confirmed, error)))
		return NULL;
	if (options->anew) {
		if (!ca_roots_forget_revocations(tx, root->thumbprint, error))
			return NULL;
		g_ptr_array_set_size(revocations, 0);
	}
	signer.cert = cert;
	signer.key = key;
	if (!ca_crl_make(context, &signer, revocations, &der, tx, error) ||
	    (options->anew &&
	     !crls_forget_past(tx, cert_subject_key(cert), root->spki_sha256, error)) ||
	    !ca_roots_set_crl_next(tx, root->thumbprint, next_time(context, &signer), error))
		return NULL;
	return g_steal_pointer(&der);
}

/* The list of the root above, when it is due. A root key that was taken away to a safe does not
 * stop the intermediate's list; doctor and the log say that the root's grows old. */
static gboolean
root_crl_in_time(const struct ca_context *context, const struct ca_row *ca,
		 struct ca_crl_signer signer, struct tx *tx, GError **error)
{
	const struct ca_crl options = { 0 };
	g_autoptr(GError) why = NULL;

	if (ca->root_thumbprint == NULL || ca->root_spki_sha256 == NULL)
		return TRUE;
	CLEANUP(ca_root_row)
	struct ca_root_row *root = ca_roots_find(tx, ca->root_thumbprint, &why);
	if (root == NULL && g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return TRUE;
	signer.hash = ALGORITHM_UNKNOWN;
	if (root != NULL && root->crl_next > clock_now(context->clock))
		return TRUE;
	g_autoptr(GBytes) der =
	    root != NULL ? root_crl(context, root, &options, signer, tx, &why) : NULL;
	if (der != NULL || g_error_matches(why, PS_ERROR, PS_ERROR_NOT_FOUND))
		return TRUE;
	g_propagate_error(error, g_steal_pointer(&why));
	return FALSE;
}

/* New certificates get the point of the next part once this one is full; its list is there at
 * once. Without a URL nothing can tell parts apart. */
static gboolean
next_part(const struct ca_context *context, const struct ca_row *ca,
	  const struct ca_crl_signer *signer, gsize entries, struct tx *tx, GError **error)
{
	struct ca_list_row row = {
		.issuer = ca->thumbprint,
		.key_id = (char *)ca_key_id(signer->cert),
		.partition = ca->crl_partition,
	};

	if ((gint64)entries < signer->partition_entries)
		return TRUE;
	CLEANUP(ca_defaults) struct ca_defaults *defaults = ca_defaults_load(context->db, error);
	if (defaults == NULL)
		return FALSE;
	g_autofree char *present =
	    ca_url_of(context, defaults, CA_URL_CRL, signer->cert, row.partition);
	g_autofree char *next =
	    ca_url_of(context, defaults, CA_URL_CRL, signer->cert, row.partition + 1);
	if (next == NULL || !defaults->add_crl_url)
		return TRUE;
	if (!ca_lists_add_url(tx, &row, present, error))
		return FALSE;
	row.partition++;
	return ca_lists_add_url(tx, &row, next, error) && cas_next_partition(tx, ca->id, error);
}

static gboolean
make_lists(const struct ca_context *context, const struct ca_row *ca, const struct ca_crl *options,
	   struct ca_crl_signer *signer, GBytes **first, struct tx *tx, GError **error)
{
	g_autoptr(GPtrArray) revocations = cas_revocations(tx, ca->id, error);
	gsize entries = 0;

	if (revocations == NULL ||
	    (options->anew && !may_drop(revocations, ca->name, options->confirmed, error)))
		return FALSE;
	if (options->anew) {
		if (!cas_forget_revocations(tx, ca->id, error))
			return FALSE;
		g_ptr_array_set_size(revocations, 0);
	}
	for (guint i = 0; i < revocations->len; i++) {
		const struct revocation_row *row = g_ptr_array_index(revocations, i);
		entries += row->partition == ca->crl_partition ? 1 : 0;
	}
	/* Before the lists are made: so the new part has its own from the start. */
	return next_part(context, ca, signer, entries, tx, error) &&
	       ca_crl_make(context, signer, revocations, first, tx, error);
}

static GBytes *
ca_own_crl(const struct ca_context *context, const struct ca_row *ca, const struct ca_crl *options,
	   struct ca_crl_signer signer, struct tx *tx, GError **error)
{
	g_autoptr(GBytes) der = NULL;

	if (ca->thumbprint == NULL)
		return fail(error, PS_ERROR_DENIED,
			    "CA '%s' waits for its certificate from the external root", ca->name);
	CLEANUP(cert) struct cert *cert = ca_known_cert(tx, ca->thumbprint, error);
	CLEANUP(key)
	struct key *key =
	    cert != NULL ? keyring_find(context->keyring, ca->spki_sha256, error) : NULL;
	if (key == NULL ||
	    !cas_next_crl_number(tx, ca->id, ca_crl_number_least(context), &signer.number, error))
		return NULL;
	signer.cert = cert;
	signer.key = key;
	if (!make_lists(context, ca, options, &signer, &der, tx, error) ||
	    !root_crl_in_time(context, ca, signer, tx, error))
		return NULL;
	/* Whoever starts anew has been told what drops out, and means it. */
	if (options->anew && !crls_forget_past(tx, cert_subject_key(cert), ca->spki_sha256, error))
		return NULL;
	if (!cas_set_crl_next(tx, ca->id, next_time(context, &signer), error))
		return NULL;
	return g_steal_pointer(&der);
}

struct ca_root_row *
ca_named_root(struct tx *tx, const char *name)
{
	CLEANUP(ca_root_row)
	struct ca_root_row *root = name != NULL ? ca_roots_find(tx, name, NULL) : NULL;

	/* By its own name, not by that of a CA below it. */
	if (root != NULL &&
	    (strcmp(root->thumbprint, name) == 0 || g_strcmp0(root->name, name) == 0))
		return g_steal_pointer(&root);
	return NULL;
}

GBytes *
ca_make_crl(const struct ca_context *context, const char *name, const struct ca_crl *options,
	    struct tx *tx, GError **error)
{
	struct ca_crl_signer signer = { .hash = ALGORITHM_UNKNOWN };

	if (!signer_set(&signer, context, options, error))
		return NULL;
	CLEANUP(ca_root_row) struct ca_root_row *root = ca_named_root(tx, name);
	if (root != NULL)
		return root_crl(context, root, options, signer, tx, error);
	CLEANUP(ca_row) struct ca_row *ca = cas_find_in_tx(tx, name, error);
	return ca != NULL ? ca_own_crl(context, ca, options, signer, tx, error) : NULL;
}
