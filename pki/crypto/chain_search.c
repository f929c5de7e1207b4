/*
 * chain_search - nodes are certificates, edges are verified signatures; deepening by one
 * certificate at a time, so that a short path is found before a thicket of long ones is entered.
 */
#include "pki/crypto/chain_search.h"

#include <string.h>

#include "pki/crypto/cert_rules.h"
#include "pki/crypto/internal.h"
#include "store/base/clock.h"

struct node {
	struct cert *cert;
	gboolean anchor;
	gboolean on_path;
	gboolean named;   /* somebody bears its issuer's name */
	GPtrArray *above; /* struct node in the order of preference; NULL: not asked yet */
};

struct chain_search {
	const struct chain_options *options;
	struct chain_work *work;
	GHashTable *nodes; /* thumbprint -> struct node */
	struct node *start;
	GPtrArray *path; /* struct node */
	struct chain_attempt best;
	chain_judge_func judge;
	gpointer data;
	guint length; /* of the paths that this round completes */
	gboolean cut; /* there are longer ones */
};

static void
node_free(gpointer p)
{
	struct node *node = p;

	cert_unref(node->cert);
	g_clear_pointer(&node->above, g_ptr_array_unref);
	g_free(node);
}

static struct node *node_of(struct chain_search *search, struct cert *cert, guint depth);

/* RFC 3279 section 2.3.2: a DSA key without parameters has those of its issuer's key. */
static void
complete(struct chain_search *search, struct node *node, guint depth)
{
	GPtrArray *pools[] = { search->options->anchors, search->options->untrusted };

	for (gsize k = 0; depth < CHAIN_DEPTH_MAX && k < G_N_ELEMENTS(pools); k++)
		for (guint i = 0; pools[k] != NULL && i < pools[k]->len; i++) {
			struct cert *issuer = pools[k]->pdata[i];

			if (!cert_lacks_parameters(node->cert) ||
			    search->work->effort > CHAIN_EFFORT_MAX)
				return;
			if (cert_key_kind(issuer) != KEY_KIND_DSA ||
			    strcmp(cert_subject_key(issuer), cert_issuer_key(node->cert)) != 0)
				continue;
			issuer = node_of(search, issuer, depth + 1)->cert;
			search->work->effort += 4;
			struct cert *whole = cert_inherit_parameters(node->cert, issuer);
			if (whole != NULL) {
				cert_unref(node->cert);
				node->cert = whole;
			}
		}
}

static struct node *
node_of(struct chain_search *search, struct cert *cert, guint depth)
{
	struct node *node = g_hash_table_lookup(search->nodes, cert_thumbprint(cert));

	if (node != NULL)
		return node;
	node = g_new0(struct node, 1);
	node->cert = cert_ref(cert);
	node->anchor = cert_is_among(cert, search->options->anchors);
	g_hash_table_insert(search->nodes, g_strdup(cert_thumbprint(cert)), node);
	if (cert_lacks_parameters(cert))
		complete(search, node, depth);
	return node;
}

struct chain_search *
chain_search_new(struct cert *cert, const struct chain_options *options, struct chain_work *work)
{
	struct chain_search *search = g_new0(struct chain_search, 1);

	search->options = options;
	search->work = work;
	search->nodes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, node_free);
	search->path = g_ptr_array_new();
	search->start = node_of(search, cert, 0);
	return search;
}

void
chain_search_free(struct chain_search *search)
{
	if (search == NULL)
		return;
	g_clear_pointer(&search->best.path, g_ptr_array_unref);
	g_free(search->best.text);
	g_ptr_array_unref(search->path);
	g_hash_table_unref(search->nodes);
	g_free(search);
}

struct cert *
chain_search_cert(const struct chain_search *search)
{
	return search->start->cert;
}

const struct chain_attempt *
chain_search_best(const struct chain_search *search)
{
	return &search->best;
}

void
chain_search_fail(struct chain_search *search, enum chain_rank rank, GPtrArray *path,
		  enum chain_fault fault, char *text, const char *remedy)
{
	struct chain_attempt *best = &search->best;

	if (rank <= best->rank) {
		g_free(text);
		return;
	}
	g_clear_pointer(&best->path, g_ptr_array_unref);
	g_free(best->text);
	best->path = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);
	for (guint i = 0; i < path->len; i++)
		g_ptr_array_add(best->path, cert_ref(path->pdata[i]));
	best->rank = rank;
	best->fault = fault;
	best->text = text;
	best->remedy = remedy;
}

static GPtrArray *
current_path(const struct chain_search *search, const struct node *top)
{
	GPtrArray *path = g_ptr_array_new();

	for (guint i = 0; i < search->path->len; i++)
		g_ptr_array_add(path, ((struct node *)search->path->pdata[i])->cert);
	if (top != NULL)
		g_ptr_array_add(path, top->cert);
	return path;
}

#define FAIL_AT(search, rank, top, id, ...)                                                        \
	do {                                                                                       \
		g_autoptr(GPtrArray) so_far = current_path(search, top);                           \
		chain_search_fail(search, rank, so_far, CHAIN_FAULT_PATH,                          \
				  sentence_make(id, __VA_ARGS__, NULL), sentence_remedy(id));      \
	} while (0)

/* Key identifiers are hints: they order, and tell keys of one name apart (RFC 5280 4.2.1.1). */
static int
key_id_fit(const struct cert *child, const struct cert *issuer)
{
	if (cert_aki(child) == NULL || cert_ski(issuer) == NULL)
		return 0;
	return strcmp(cert_aki(child), cert_ski(issuer)) == 0 ? 1 : -1;
}

struct preference {
	const struct cert *child;
	gint64 at;
};

static gboolean
is_valid_at(const struct cert *cert, gint64 at)
{
	return cert_not_before(cert) <= at && at <= cert_not_after(cert);
}

static int
compare_issuers(gconstpointer p, gconstpointer q, gpointer data)
{
	const struct node *a = *(const struct node *const *)p, *b = *(const struct node *const *)q;
	const struct preference *by = data;
	int fit_a = key_id_fit(by->child, a->cert), fit_b = key_id_fit(by->child, b->cert);
	gboolean valid_a = is_valid_at(a->cert, by->at), valid_b = is_valid_at(b->cert, by->at);

	if (fit_a != fit_b)
		return fit_b - fit_a;
	if (a->anchor != b->anchor)
		return a->anchor ? -1 : 1;
	if (valid_a != valid_b)
		return valid_a ? -1 : 1;
	if (cert_not_before(a->cert) != cert_not_before(b->cert))
		return cert_not_before(a->cert) > cert_not_before(b->cert) ? -1 : 1;
	return strcmp(cert_thumbprint(a->cert), cert_thumbprint(b->cert));
}

static GPtrArray *
named_issuers(struct chain_search *search, const struct cert *child)
{
	GPtrArray *pools[] = { search->options->anchors, search->options->untrusted };
	GPtrArray *named = g_ptr_array_new();
	g_autoptr(GHashTable) seen = g_hash_table_new(NULL, NULL);
	struct preference by = { child, search->options->at };

	for (gsize k = 0; k < G_N_ELEMENTS(pools); k++)
		for (guint i = 0; pools[k] != NULL && i < pools[k]->len; i++) {
			struct cert *candidate = pools[k]->pdata[i];

			if (strcmp(cert_subject_key(candidate), cert_issuer_key(child)) != 0)
				continue;
			struct node *node = node_of(search, candidate, 0);
			if (g_hash_table_add(seen, node))
				g_ptr_array_add(named, node);
		}
	g_ptr_array_sort_with_data(named, compare_issuers, &by);
	return named;
}

static gboolean
has_key_of(const GPtrArray *nodes, const struct node *node)
{
	for (guint i = 0; i < nodes->len; i++)
		if (strcmp(cert_spki_sha256(((const struct node *)nodes->pdata[i])->cert),
			   cert_spki_sha256(node->cert)) == 0)
			return TRUE;
	return FALSE;
}

static void
look_above(struct chain_search *search, struct node *node)
{
	if (node->above != NULL)
		return;
	g_autoptr(GPtrArray) named = named_issuers(search, node->cert);
	node->named = named->len > 0;
	node->above = g_ptr_array_new();
	for (guint i = 0; i < named->len; i++) {
		struct node *issuer = named->pdata[i];

		/* Another key, where one was found already that fits by identifier and signature.
		 */
		if (node->above->len > 0 && key_id_fit(node->cert, issuer->cert) < 0 &&
		    !has_key_of(node->above, issuer))
			continue;
		if (search->work->effort > CHAIN_EFFORT_MAX) {
			search->work->exhausted = TRUE;
			return;
		}
		if (cert_is_signed_by(node->cert, issuer->cert, &search->work->effort))
			g_ptr_array_add(node->above, issuer);
	}
}

GPtrArray *
chain_search_issuers(struct chain_search *search)
{
	GPtrArray *issuers = g_ptr_array_new_with_free_func((GDestroyNotify)cert_unref);

	look_above(search, search->start);
	for (guint i = 0; i < search->start->above->len; i++)
		g_ptr_array_add(issuers,
				cert_ref(((struct node *)search->start->above->pdata[i])->cert));
	return issuers;
}

static gboolean
fits_dates(struct chain_search *search, const struct node *issuer)
{
	gint64 at = search->options->at;
	gboolean early = at < cert_not_before(issuer->cert);

	if (is_valid_at(issuer->cert, at))
		return TRUE;
	g_autofree char *when =
	    clock_format(early ? cert_not_before(issuer->cert) : cert_not_after(issuer->cert));
	FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, early ? SENTENCE_TOO_EARLY : SENTENCE_EXPIRED,
		cert_subject(issuer->cert), when);
	return FALSE;
}

/* 6.1.4 (k) and (n). An anchor is believed to be a CA where it could not say so: version 1. */
static gboolean
fits_as_ca(struct chain_search *search, const struct node *issuer)
{
	const struct cert *cert = issuer->cert;
	const struct cert_rules *rules = cert_rules(cert);
	gboolean old_anchor =
	    issuer->anchor && !rules->has_basic_constraints && strcmp(cert_kind(cert), "root") == 0;

	if (!cert_has_subject(cert)) {
		FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_NO_NAME,
			cert_subject(
			    ((struct node *)search->path->pdata[search->path->len - 1])->cert));
		return FALSE;
	}

	if (!cert_is_ca(cert) && !old_anchor) {
		FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_NOT_CA, cert_subject(cert));
		return FALSE;
	}
	if ((cert_key_usage(cert) & KEY_USAGE_CERT_SIGN) == 0) {
		FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_NO_CERT_SIGN,
			cert_subject(cert));
		return FALSE;
	}
	return TRUE;
}

/* 6.1.4 (l) and (m), seen from above: those below that are not self-issued, the last apart. */
static gboolean
fits_length(struct chain_search *search, const struct node *issuer)
{
	int below = 0;

	for (guint i = 1; i < search->path->len; i++)
		below += !cert_is_self_issued(((struct node *)search->path->pdata[i])->cert);
	if (cert_path_length(issuer->cert) < 0 || below <= cert_path_length(issuer->cert))
		return TRUE;
	FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_PATH_LENGTH,
		cert_subject(issuer->cert));
	return FALSE;
}

static gboolean
fits_extensions(struct chain_search *search, const struct node *issuer)
{
	const struct cert *cert = issuer->cert;
	const struct cert_rules *rules = cert_rules(cert);

	if (rules->broken != NULL)
		FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_BROKEN_EXTENSION,
			cert_subject(cert), rules->broken);
	else if (rules->unknown_critical != NULL)
		FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_UNKNOWN_CRITICAL,
			cert_subject(cert), rules->unknown_critical);
	else if (!issuer->anchor && search->options->purpose != CHAIN_PURPOSE_ANY &&
		 !cert_has_email_purpose(cert))
		FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_ISSUER_PURPOSE,
			cert_subject(cert));
	else
		return TRUE;
	return FALSE;
}

static gboolean
fits_strength(struct chain_search *search, const struct node *issuer)
{
	const char *remedy = "";
	char *fault =
	    issuer->anchor
		? chain_key_fault(issuer->cert, search->options->allow_legacy, &remedy)
		: chain_strength_fault(issuer->cert, search->options->allow_legacy, &remedy);

	if (fault == NULL)
		return TRUE;
	g_autoptr(GPtrArray) so_far = current_path(search, issuer);
	chain_search_fail(search, CHAIN_RANK_ISSUER, so_far, CHAIN_FAULT_PATH, fault, remedy);
	return FALSE;
}

/* 6.1.3 (b) and (c), seen from above: self-issued certificates count at the end alone. */
static gboolean
fits_names(struct chain_search *search, const struct node *issuer)
{
	const struct name_constraints *constraints = cert_rules(issuer->cert)->constraints;

	for (guint i = 0; constraints != NULL && i < search->path->len; i++) {
		const struct cert *below = ((struct node *)search->path->pdata[i])->cert;
		const GPtrArray *names = cert_names(below);
		guint compared = 0;

		if (i > 0 && cert_is_self_issued(below))
			continue;
		const struct name *bad =
		    names != NULL ? names_violation(names, constraints, &compared) : NULL;
		search->work->steps += compared / 64;
		if (names == NULL)
			FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_NAMES_UNREADABLE,
				cert_subject(below), cert_subject(issuer->cert));
		else if (bad != NULL)
			FAIL_AT(search, CHAIN_RANK_ISSUER, issuer, SENTENCE_NAME, bad->text,
				cert_subject(below), cert_subject(issuer->cert));
		else
			continue;
		return FALSE;
	}
	return TRUE;
}

/* The same name and key again leads nowhere new (RFC 4158 section 2.4.2). */
static gboolean
is_repeated(const struct chain_search *search, const struct node *issuer)
{
	for (guint i = 0; i < search->path->len; i++) {
		const struct cert *cert = ((struct node *)search->path->pdata[i])->cert;

		if (strcmp(cert_spki_sha256(cert), cert_spki_sha256(issuer->cert)) == 0 &&
		    strcmp(cert_subject_key(cert), cert_subject_key(issuer->cert)) == 0)
			return TRUE;
	}
	return FALSE;
}

static gboolean
is_exhausted(struct chain_search *search)
{
	struct chain_work *work = search->work;

	work->exhausted |= work->steps > CHAIN_STEPS_MAX || work->paths >= CHAIN_PATHS_MAX;
	return work->exhausted;
}

static void
fail_dead_end(struct chain_search *search, struct node *top)
{
	const char *where = search->options->where;
	const char *store = where != NULL ? where : "in the store";

	if (cert_is_self_signed(top->cert))
		FAIL_AT(search, CHAIN_RANK_NO_ISSUER, NULL, SENTENCE_NO_ROOT,
			cert_subject(top->cert), where != NULL ? where : "in the root store");
	else if (top->above->len > 0)
		FAIL_AT(search, CHAIN_RANK_NO_ISSUER, NULL, SENTENCE_LOOP, cert_subject(top->cert),
			where != NULL ? where : "in the root store");
	else if (top->named)
		FAIL_AT(search, CHAIN_RANK_NO_ISSUER, NULL, SENTENCE_SIGNATURE,
			cert_subject(top->cert), cert_issuer(top->cert));
	else
		FAIL_AT(search, CHAIN_RANK_NO_ISSUER, NULL, SENTENCE_NO_ISSUER,
			cert_issuer(top->cert), store);
}

static gboolean
take_path(struct chain_search *search, const struct node *anchor)
{
	g_autoptr(GPtrArray) path = current_path(search, anchor);

	search->work->paths++;
	return search->judge(search, path, search->data);
}

static gboolean climb(struct chain_search *search, struct node *top);

static gboolean
step_to(struct chain_search *search, struct node *issuer)
{
	gboolean taken;

	if (!fits_dates(search, issuer) || !fits_as_ca(search, issuer) ||
	    !fits_length(search, issuer) || !fits_extensions(search, issuer) ||
	    !fits_strength(search, issuer) || !fits_names(search, issuer))
		return FALSE;
	if (issuer->anchor)
		return take_path(search, issuer);
	g_ptr_array_add(search->path, issuer);
	issuer->on_path = TRUE;
	taken = climb(search, issuer);
	issuer->on_path = FALSE;
	g_ptr_array_set_size(search->path, (int)search->path->len - 1);
	return taken;
}

static gboolean
climb(struct chain_search *search, struct node *top)
{
	guint tried = 0;

	look_above(search, top);
	for (guint i = 0; i < top->above->len; i++) {
		struct node *issuer = top->above->pdata[i];
		guint length = search->path->len + 1;

		search->work->steps++;
		if (is_exhausted(search))
			return FALSE;
		if (issuer->on_path || is_repeated(search, issuer))
			continue;
		tried++;
		if (issuer->anchor ? length > search->length : length >= search->length) {
			search->cut = TRUE;
			continue;
		}
		if (issuer->anchor && length < search->length)
			continue; /* judged in an earlier round */
		if (step_to(search, issuer))
			return TRUE;
	}
	if (tried == 0 && !search->work->exhausted)
		fail_dead_end(search, top);
	return FALSE;
}

gboolean
chain_search_run(struct chain_search *search, chain_judge_func judge, gpointer data)
{
	gboolean taken = FALSE;
	char most[16];

	search->judge = judge;
	search->data = data;
	if (search->start->anchor)
		return take_path(search, search->start);
	g_ptr_array_add(search->path, search->start);
	search->start->on_path = TRUE;
	search->cut = TRUE;
	for (search->length = 2;
	     !taken && search->cut && search->length <= CHAIN_DEPTH_MAX && !is_exhausted(search);
	     search->length++) {
		search->cut = FALSE;
		taken = climb(search, search->start);
	}
	g_snprintf(most, sizeof(most), "%d", CHAIN_DEPTH_MAX);
	if (!taken && search->cut && !search->work->exhausted)
		FAIL_AT(search, CHAIN_RANK_NO_ISSUER, NULL, SENTENCE_TOO_LONG,
			cert_subject(search->start->cert), most);
	return taken;
}

void
chain_search_dates(const struct chain_search *search, gint64 *until)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, search->nodes);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct cert *cert = ((const struct node *)value)->cert;

		if (cert_not_before(cert) > search->options->at)
			*until = MIN(*until, cert_not_before(cert) - 1);
		else if (cert_not_after(cert) >= search->options->at)
			*until = MIN(*until, cert_not_after(cert));
	}
}
