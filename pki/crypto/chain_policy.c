/*
 * chain_policy - the valid policy graph, level by level from the anchor down.
 */
#include "pki/crypto/chain_policy.h"

#include <string.h>

#include "pki/crypto/cert_rules.h"

struct node {
	const char *policy;  /* borrowed from a certificate of the path */
	GPtrArray *expected; /* likewise: what continues it one level down */
	GPtrArray *parents;  /* struct node */
	gboolean reaches;    /* down to the end certificate */
};

struct graph {
	GPtrArray *levels; /* GHashTable: policy -> struct node; the first is above the path */
	gboolean empty;    /* RFC 5280 calls it NULL */
	guint explicit_policy, policy_mapping, inhibit_any;
	guint *steps;
};

static void
node_free(gpointer p)
{
	struct node *node = p;

	g_ptr_array_unref(node->expected);
	g_ptr_array_unref(node->parents);
	g_free(node);
}

static GHashTable *
add_level(struct graph *graph)
{
	GHashTable *level = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, node_free);

	g_ptr_array_add(graph->levels, level);
	return level;
}

static struct node *
add_node(struct graph *graph, GHashTable *level, const char *policy)
{
	struct node *node = g_new0(struct node, 1);

	node->policy = policy;
	node->expected = g_ptr_array_new();
	node->parents = g_ptr_array_new();
	g_ptr_array_add(node->expected, (gpointer)policy);
	g_hash_table_insert(level, (gpointer)policy, node);
	*graph->steps += 1;
	return node;
}

/* Expected policy -> GPtrArray of the nodes that expect it. */
static GHashTable *
expectations(struct graph *graph, GHashTable *level)
{
	GHashTable *index =
	    g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)g_ptr_array_unref);
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, level);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct node *node = value;

		for (guint i = 0; i < node->expected->len; i++) {
			GPtrArray *who = g_hash_table_lookup(index, node->expected->pdata[i]);

			if (who == NULL) {
				who = g_ptr_array_new();
				g_hash_table_insert(index, node->expected->pdata[i], who);
			}
			g_ptr_array_add(who, node);
			*graph->steps += 1;
		}
	}
	return index;
}

static void
add_child(struct graph *graph, GHashTable *level, const char *policy, const GPtrArray *parents)
{
	struct node *node = add_node(graph, level, policy);

	for (guint i = 0; i < parents->len; i++)
		g_ptr_array_add(node->parents, parents->pdata[i]);
}

/* 6.1.3 (d) and (e) */
static void
descend(struct graph *graph, const struct cert_rules *rules, gboolean any_counts)
{
	GHashTable *above = graph->levels->pdata[graph->levels->len - 1];

	if (graph->empty || rules->policies == NULL) {
		graph->empty = TRUE;
		return;
	}
	g_autoptr(GHashTable) expected = expectations(graph, above);
	GHashTable *level = add_level(graph);
	struct node *any = g_hash_table_lookup(above, ANY_POLICY);
	for (guint i = 0; i < rules->policies->len; i++) {
		const char *policy = rules->policies->pdata[i];
		const GPtrArray *parents = g_hash_table_lookup(expected, policy);

		if (parents != NULL)
			add_child(graph, level, policy, parents);
		else if (any != NULL)
			g_ptr_array_add(add_node(graph, level, policy)->parents, any);
	}
	if (rules->any_policy && any_counts) {
		GHashTableIter iter;
		gpointer policy, parents;

		g_hash_table_iter_init(&iter, expected);
		while (g_hash_table_iter_next(&iter, &policy, &parents))
			if (!g_hash_table_contains(level, policy))
				add_child(graph, level, policy, parents);
	}
	graph->empty = g_hash_table_size(level) == 0;
}

/* 6.1.4 (b) */
static void
map_policies(struct graph *graph, const struct cert_rules *rules)
{
	GHashTable *level = graph->levels->pdata[graph->levels->len - 1];
	g_autoptr(GHashTable) mapped = g_hash_table_new(g_str_hash, g_str_equal);

	for (guint i = 0; !graph->empty && i < rules->mappings->len; i++) {
		const struct policy_mapping *mapping = rules->mappings->pdata[i];
		struct node *node = g_hash_table_lookup(level, mapping->issuer_policy);
		struct node *any = g_hash_table_lookup(level, ANY_POLICY);

		if (graph->policy_mapping == 0) {
			g_hash_table_remove(level, mapping->issuer_policy);
			continue;
		}
		if (node == NULL && any != NULL) {
			add_child(graph, level, mapping->issuer_policy, any->parents);
			node = g_hash_table_lookup(level, mapping->issuer_policy);
		}
		if (node == NULL)
			continue;
		if (g_hash_table_add(mapped, (gpointer)mapping->issuer_policy))
			g_ptr_array_set_size(node->expected, 0);
		if (!g_ptr_array_find_with_equal_func(node->expected, mapping->subject_policy,
						      g_str_equal, NULL))
			g_ptr_array_add(node->expected, mapping->subject_policy);
	}
	graph->empty |= g_hash_table_size(level) == 0;
}

static void
count_down(guint *counter)
{
	if (*counter > 0)
		*counter -= 1;
}

static void
limit(guint *counter, int value)
{
	if (value >= 0)
		*counter = MIN(*counter, (guint)value);
}

/* 6.1.4 (a), (b), (h) to (j). FALSE: a mapping that is not allowed. */
static gboolean
prepare_next(struct graph *graph, const struct cert *cert, const struct cert_rules *rules)
{
	if (rules->maps_any)
		return FALSE;
	map_policies(graph, rules);
	if (!cert_is_self_issued(cert)) {
		count_down(&graph->explicit_policy);
		count_down(&graph->policy_mapping);
		count_down(&graph->inhibit_any);
	}
	limit(&graph->explicit_policy, rules->require_explicit);
	limit(&graph->policy_mapping, rules->inhibit_mapping);
	limit(&graph->inhibit_any, rules->inhibit_any);
	return TRUE;
}

static void
mark_up(struct node *node)
{
	if (node->reaches)
		return;
	node->reaches = TRUE;
	for (guint i = 0; i < node->parents->len; i++)
		mark_up(node->parents->pdata[i]);
}

/* Policies that the path has in the terms of its anchor: those right below anyPolicy. */
static void
collect(const struct graph *graph, GHashTable *policies)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, graph->levels->pdata[graph->levels->len - 1]);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		mark_up(value);
	for (guint i = 1; i < graph->levels->len; i++) {
		g_hash_table_iter_init(&iter, graph->levels->pdata[i]);
		while (g_hash_table_iter_next(&iter, NULL, &value)) {
			const struct node *node = value;

			if (!node->reaches || strcmp(node->policy, ANY_POLICY) == 0)
				continue;
			for (guint k = 0; k < node->parents->len; k++) {
				const struct node *parent = node->parents->pdata[k];
				if (strcmp(parent->policy, ANY_POLICY) == 0)
					g_hash_table_add(policies, (gpointer)node->policy);
			}
		}
	}
	if (g_hash_table_contains(graph->levels->pdata[graph->levels->len - 1], ANY_POLICY))
		g_hash_table_add(policies, (gpointer)ANY_POLICY);
}

static int
compare_texts(gconstpointer a, gconstpointer b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* 6.1.5 (g) */
static GStrv
user_set(const struct graph *graph, const char *const *wanted)
{
	g_autoptr(GHashTable) policies = g_hash_table_new(g_str_hash, g_str_equal);
	g_autoptr(GHashTable) chosen = g_hash_table_new(g_str_hash, g_str_equal);
	GPtrArray *texts = g_ptr_array_new();
	GHashTableIter iter;
	gpointer key;

	if (!graph->empty)
		collect(graph, policies);
	gboolean any = g_hash_table_contains(policies, ANY_POLICY);
	gboolean all = wanted == NULL || *wanted == NULL || g_strv_contains(wanted, ANY_POLICY);
	for (gsize i = 0; !all && wanted[i] != NULL; i++)
		if (any || g_hash_table_contains(policies, wanted[i]))
			g_hash_table_add(chosen, (gpointer)wanted[i]);
	g_hash_table_iter_init(&iter, all ? policies : chosen);
	while (g_hash_table_iter_next(&iter, &key, NULL))
		g_ptr_array_add(texts, g_strdup(key));
	g_ptr_array_sort(texts, compare_texts);
	g_ptr_array_add(texts, NULL);
	return (GStrv)g_ptr_array_free(texts, FALSE);
}

static gboolean
walk(struct graph *graph, const GPtrArray *path)
{
	for (guint i = path->len - 1; i-- > 0;) {
		const struct cert *cert = path->pdata[i];
		const struct cert_rules *rules = cert_rules(cert);
		gboolean last = i == 0;

		descend(graph, rules,
			graph->inhibit_any > 0 || (!last && cert_is_self_issued(cert)));
		if (graph->explicit_policy == 0 && graph->empty)
			return FALSE;
		if (!last && !prepare_next(graph, cert, rules))
			return FALSE;
		if (last) {
			count_down(&graph->explicit_policy);
			if (rules->require_explicit == 0)
				graph->explicit_policy = 0;
		}
	}
	return TRUE;
}

gboolean
chain_policies(const GPtrArray *path, const struct chain_options *options, GStrv *found,
	       guint *steps)
{
	g_autoptr(GPtrArray) levels =
	    g_ptr_array_new_with_free_func((GDestroyNotify)g_hash_table_unref);
	struct graph graph = {
		.levels = levels,
		.explicit_policy = options->explicit_policy ? 0 : path->len,
		.policy_mapping = options->inhibit_policy_mapping ? 0 : path->len,
		.inhibit_any = options->inhibit_any_policy ? 0 : path->len,
		.steps = steps,
	};

	add_node(&graph, add_level(&graph), ANY_POLICY);
	gboolean good = path->len < 2 || walk(&graph, path);
	if (!good || path->len < 2)
		graph.empty = TRUE;
	*found = user_set(&graph, options->policies);
	return path->len < 2 || (good && (graph.explicit_policy > 0 || **found != NULL));
}
