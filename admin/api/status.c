/*
 * status - what the gateway is doing: as a document, and as Prometheus text.
 */
#include "admin/api/handlers.h"
#include "admin/api/milter_status.h"

#include <string.h>

#include "config.h"
#include "milter/gateway.h"
#include "milter/status.h"
#include "pki/trust.h"
#include "store/base/error.h"
#include "store/cas.h"
#include "store/certs.h"
#include "store/config/settings.h"
#include "store/db/changelog.h"
#include "store/db/db.h"
#include "store/jobs.h"
#include "store/keys.h"
#include "store/roots.h"

static gint64 started_us;

void
status_daemon_started(void)
{
	started_us = clock_monotonic_us();
}

static json_t *
daemon_part(struct call *call)
{
	json_t *object = json_object();
	struct cache_stats cached;

	trust_stats(call->gateway->trust, &cached);
	json_object_set_new(object, "version", json_string(PACKAGE_VERSION));
	json_object_set_new(object, "uptime_seconds",
			    json_integer((clock_monotonic_us() - started_us) / G_USEC_PER_SEC));
	json_object_set_new(object, "trust_hits_total", json_integer((json_int_t)cached.hits));
	json_object_set_new(object, "trust_misses_total", json_integer((json_int_t)cached.misses));
	return object;
}

static json_t *
database_part(struct call *call)
{
	struct changelog_stats changes;
	struct db_stats stats;
	g_autoptr(GError) problem = NULL;
	json_t *object = json_object();
	gboolean up = db_ping(call->gateway->db, &problem) &&
		      changelog_poll(call->gateway->changelog, &problem);

	db_stats(call->gateway->db, &stats);
	changelog_stats(call->gateway->changelog, &changes);
	json_object_set_new(object, "up", json_boolean(up));
	if (!up)
		json_object_set_new(object, "problem", answer_text(problem->message));
	json_object_set_new(object, "connections", json_integer(stats.connections));
	json_object_set_new(object, "busy", json_integer(stats.busy));
	json_object_set_new(object, "queries_total", json_integer((json_int_t)stats.queries));
	json_object_set_new(object, "failures_total", json_integer((json_int_t)stats.failures));
	json_object_set_new(object, "retries_total", json_integer((json_int_t)stats.retries));
	json_object_set_new(object, "timeouts_total", json_integer((json_int_t)stats.timeouts));
	json_object_set_new(object, "change_number", json_integer(changes.number));
	json_object_set_new(object, "change_age_seconds", json_real(changes.age_seconds));
	json_object_set_new(object, "listening", json_boolean(changes.listening));
	return object;
}

static void
add_count(json_t *object, const char *name, gint64 count)
{
	json_object_set_new(object, name, count >= 0 ? json_integer(count) : json_null());
}

static json_t *
stores_part(struct call *call)
{
	struct db *db = call->gateway->db;
	g_autoptr(GPtrArray) cas = cas_list(db, NULL);
	g_autoptr(GPtrArray) jobs = jobs_list(db, NULL, TRUE, 0, 1000, NULL);
	json_t *object = json_object();
	gint failed = 0;

	add_count(object, "certificates", certs_count(db, NULL));
	add_count(object, "keys", keys_count(db, NULL));
	add_count(object, "roots", roots_count(db, NULL));
	add_count(object, "cas", cas != NULL ? (gint64)cas->len : -1);
	for (guint i = 0; jobs != NULL && i < jobs->len; i++)
		if (((const struct job_row *)g_ptr_array_index(jobs, i))->attempts > 1)
			failed++;
	add_count(object, "open_jobs", jobs != NULL ? (gint64)jobs->len : -1);
	add_count(object, "troubled_jobs", jobs != NULL ? failed : -1);
	return object;
}

static json_t *
milter_part(struct call *call)
{
	g_autoptr(GError) problem = NULL;
	g_autofree char *text =
	    milter_status_ask(gateway_settings(call->gateway)->run_dir, "json", &problem);
	json_t *object = text != NULL ? json_loads(text, 0, NULL) : NULL;

	if (object != NULL) {
		json_object_set_new(object, "up", json_true());
		return object;
	}
	return json_pack("{s:b, s:o}", "up", 0, "problem",
			 answer_text(problem != NULL ? problem->message : "its answer is no JSON"));
}

/* --- Prometheus --- */

static void
append_metric(GString *out, const char *part, const char *name, const json_t *value)
{
	gboolean counter = g_str_has_suffix(name, "_total");

	if (!json_is_number(value) && !json_is_boolean(value))
		return;
	g_string_append_printf(out, "# TYPE postseal_%s_%s %s\n", part, name,
			       counter ? "counter" : "gauge");
	if (json_is_boolean(value))
		g_string_append_printf(out, "postseal_%s_%s %d\n", part, name,
				       json_is_true(value) ? 1 : 0);
	else if (json_is_integer(value))
		g_string_append_printf(out, "postseal_%s_%s %" JSON_INTEGER_FORMAT "\n", part, name,
				       json_integer_value(value));
	else
		g_string_append_printf(out, "postseal_%s_%s %.3f\n", part, name,
				       json_real_value(value));
}

static void
append_part(GString *out, const char *part, const json_t *object)
{
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)object, name, value) append_metric(out, part, name, value);
}

static json_t *
prometheus(struct call *call, const json_t *document)
{
	g_autofree char *milter =
	    milter_status_ask(gateway_settings(call->gateway)->run_dir, "prometheus", NULL);
	GString *out = g_string_new(NULL);
	json_t *answer;

	append_part(out, "daemon", json_object_get(document, "daemon"));
	append_part(out, "database", json_object_get(document, "database"));
	append_part(out, "store", json_object_get(document, "stores"));
	g_string_append_printf(out, "# TYPE postseal_milter_up gauge\npostseal_milter_up %d\n",
			       milter != NULL ? 1 : 0);
	if (milter != NULL)
		g_string_append(out, milter);
	answer = json_pack("{s:s}", "text", out->str);
	g_string_free(out, TRUE);
	return answer;
}

json_t *
status_show(struct call *call, GError **error)
{
	json_t *answer = json_object();

	(void)error;
	json_object_set_new(answer, "daemon", daemon_part(call));
	json_object_set_new(answer, "database", database_part(call));
	json_object_set_new(answer, "stores", stores_part(call));
	json_object_set_new(answer, "milter", milter_part(call));
	if (!call_flag(call, "prometheus"))
		return answer;
	json_t *text = prometheus(call, answer);
	json_decref(answer);
	return text;
}
