/*
 * file_commands - certificates in files. The answers have the members that the API gives for
 * certificates of the store.
 */
#include "admin/cli/file_commands.h"

#include <stdio.h>
#include <string.h>

#include "admin/api/call.h"
#include "admin/cli/cert_names.h"
#include "admin/cli/file_pieces.h"
#include "admin/cli/message_commands.h"
#include "admin/cli/upload.h"
#include "pki/crypto/bundle.h"
#include "pki/file_verify.h"
#include "store/base/clock.h"
#include "store/base/error.h"
#include "store/base/printable.h"

/* --- cert show --- */

gboolean
file_command_is(const struct command_line *line)
{
	if (line->operation->method == METHOD_FILE)
		return TRUE;
	if (operation_id_of(line->operation) != OPERATION_CERT_SHOW)
		return FALSE;
	const char *name = command_line_text(line, "certs");
	return strcmp(name, "-") == 0 || !cert_name_is_thumbprint(name) ||
	       g_file_test(name, G_FILE_TEST_EXISTS);
}

void
file_command_broken(const char *path, const char *why, gpointer data)
{
	g_autofree char *safe_path = printable(path);
	g_autofree char *safe_why = printable(why);

	(void)data;
	fprintf(stderr, "postseal: skipped: %s: %s\n", safe_path, safe_why);
}

static json_t *
facts_object(GPtrArray *facts)
{
	json_t *object = json_object();

	for (guint i = 0; i < facts->len; i++) {
		const struct fact *fact = g_ptr_array_index(facts, i);
		g_autofree char *name = g_strdelimit(g_strdup(fact->name), "-", '_');
		json_t *list = json_object_get(object, name);

		if (!fact->many) {
			json_object_set_new(object, name, answer_text(fact->value));
			continue;
		}
		if (list == NULL) {
			list = json_array();
			json_object_set_new(object, name, list);
		}
		json_array_append_new(list, answer_text(fact->value));
	}
	return object;
}

static void
append_list(json_t *answer, const char *name, json_t *list)
{
	if (json_array_size(list) > 0)
		json_object_set(answer, name, list);
	json_decref(list);
}

static json_t *
pool_answer(const struct file_pool *pool)
{
	json_t *answer = json_object();
	json_t *certs = json_array();
	json_t *keys = json_array();
	json_t *crls = json_array();

	for (guint i = 0; i < pool->certs->len; i++) {
		g_autoptr(GPtrArray) facts = cert_facts(g_ptr_array_index(pool->certs, i));
		json_array_append_new(certs, facts_object(facts));
	}
	for (guint i = 0; i < pool->keys->len; i++) {
		const struct key *key = g_ptr_array_index(pool->keys, i);
		json_array_append_new(keys, json_pack("{s:s, s:s}", "type", key_text(key), "spki",
						      key_spki_sha256(key)));
	}
	for (guint i = 0; i < pool->crls->len; i++) {
		g_autoptr(GPtrArray) facts = crl_facts(g_ptr_array_index(pool->crls, i));
		json_array_append_new(crls, facts_object(facts));
	}
	append_list(answer, "certificates", certs);
	append_list(answer, "private_keys", keys);
	append_list(answer, "crls", crls);
	return answer;
}

static gboolean
wants_password(const char *const *paths)
{
	for (; *paths != NULL; paths++) {
		g_autofree char *text = NULL;
		gsize length;

		if (strcmp(*paths, "-") == 0 || !g_file_get_contents(*paths, &text, &length, NULL))
			continue;
		g_autoptr(GBytes) bytes = g_bytes_new_take(g_steal_pointer(&text), length);
		if (bundle_wants_password(bytes))
			return TRUE;
	}
	return FALSE;
}

struct secret *
file_command_password(const struct command_line *line, const char *const *paths, GError **error)
{
	return upload_password(line, "password", "Password: ",
			       wants_password(paths) ? UPLOAD_ASK_ONCE : UPLOAD_ASK_NEVER, error);
}

static json_t *
show_files(const struct command_line *line, GError **error)
{
	g_autofree const char **paths = command_line_texts(line, "certs");
	g_autoptr(GError) problem = NULL;
	CLEANUP(secret) struct secret *password = file_command_password(line, paths, &problem);
	CLEANUP(file_pool) struct file_pool *pool = NULL;

	if (problem != NULL) {
		g_propagate_error(error, g_steal_pointer(&problem));
		return NULL;
	}
	for (gsize i = 0; paths[i] != NULL; i++)
		if (strpbrk(paths[i], "/.-") == NULL && !g_file_test(paths[i], G_FILE_TEST_EXISTS))
			return fail(error, PS_ERROR_NOT_FOUND,
				    "%s: neither a file nor a thumbprint (8 hex digits at least); "
				    "'cert list TEXT' finds thumbprints",
				    paths[i]);
	pool = file_pool_read(paths, password, file_command_broken, NULL, error);
	if (pool == NULL)
		return NULL;
	if (pool->certs->len + pool->keys->len + pool->crls->len == 0)
		return fail(error, PS_ERROR_INVALID, "%s: nothing in it that can be shown",
			    paths[0]);
	return pool_answer(pool);
}

/* --- cert verify --- */

static enum chain_purpose
purpose_of(const char *text)
{
	if (text != NULL && strcmp(text, "sign") == 0)
		return CHAIN_PURPOSE_SIGN;
	if (text != NULL && strcmp(text, "encrypt") == 0)
		return CHAIN_PURPOSE_ENCRYPT;
	return CHAIN_PURPOSE_ANY;
}

static json_t *
report_answer(const struct chain_report *report, enum chain_revocation revocation)
{
	gboolean unchecked = report->unchecked || revocation == CHAIN_REVOCATION_OFF;
	json_t *answer = json_object();
	json_t *path = json_array();
	json_t *policies = json_array();

	for (guint i = 0; i < report->path->len; i++)
		json_array_append_new(
		    path, answer_text(cert_subject(g_ptr_array_index(report->path, i))));
	for (char **policy = report->policies; policy != NULL && *policy != NULL; policy++)
		json_array_append_new(policies, answer_text(*policy));
	json_object_set_new(answer, "verdict", json_string(chain_verdict_name(report->verdict)));
	json_object_set_new(answer, "reason", answer_text(report->reason));
	json_object_set_new(answer, "path", path);
	json_object_set_new(answer, "policies", policies);
	json_object_set_new(answer, "revocation_unchecked", json_boolean(unchecked));
	return answer;
}

gboolean
file_command_time(const struct command_line *line, gint64 *at, GError **error)
{
	const char *text = command_line_text(line, "at");

	*at = clock_now(clock_system());
	return text == NULL || clock_parse(text, at, error);
}

enum chain_revocation
file_command_revocation(const struct command_line *line)
{
	const char *text = command_line_text(line, "revocation");

	if (text == NULL)
		return command_line_text(line, "crls") != NULL ? CHAIN_REVOCATION_REQUIRED
							       : CHAIN_REVOCATION_IF_AVAILABLE;
	if (strcmp(text, "required") == 0)
		return CHAIN_REVOCATION_REQUIRED;
	return strcmp(text, "off") == 0 ? CHAIN_REVOCATION_OFF : CHAIN_REVOCATION_IF_AVAILABLE;
}

/* "2.16.840.1.101.3.2.1.48.1": digits with single dots between them. */
static gboolean
check_policies(const char *const *policies, GError **error)
{
	for (; *policies != NULL; policies++)
		if (!g_regex_match_simple("^[0-2](\\.(0|[1-9][0-9]*))+$", *policies,
					  G_REGEX_DOLLAR_ENDONLY, 0))
			return fail_false(error, PS_ERROR_USAGE,
					  "--policy: '%s' is no object identifier, as 2.5.29.32.0",
					  *policies);
	return TRUE;
}

static json_t *
verify_cert(const struct command_line *line, int *exit_status, GError **error)
{
	g_autofree const char **roots = command_line_texts(line, "roots");
	g_autofree const char **untrusted = command_line_texts(line, "untrusted");
	g_autofree const char **crls = command_line_texts(line, "crls");
	g_autofree const char **policies = command_line_texts(line, "policy");
	const char *email = command_line_text(line, "email");
	CLEANUP(mailaddr) struct mailaddr *address = NULL;
	struct file_verify verify = {
		.cert = command_line_text(line, "cert"),
		.roots = roots,
		.untrusted = untrusted,
		.crls = crls,
		.options = { .purpose = purpose_of(command_line_text(line, "purpose")),
			     .revocation = file_command_revocation(line),
			     .policies = policies[0] != NULL ? policies : NULL,
			     .explicit_policy = command_line_flag(line, "explicit-policy"),
			     .inhibit_policy_mapping =
				 command_line_flag(line, "inhibit-policy-mapping"),
			     .inhibit_any_policy = command_line_flag(line, "inhibit-any-policy") },
	};

	if (!file_command_time(line, &verify.options.at, error) || !check_policies(policies, error))
		return NULL;
	if (email != NULL && (address = mailaddr_parse(email, error)) == NULL) {
		error_to_usage(error);
		return NULL;
	}
	verify.options.email = address;
	CLEANUP(chain_report)
	struct chain_report *report = file_verify_run(&verify, file_command_broken, NULL, error);
	if (report == NULL)
		return NULL;
	*exit_status = report->verdict == CHAIN_VALID ? 0 : 1;
	return report_answer(report, verify.options.revocation);
}

json_t *
file_command_run(const struct command_line *line, int *exit_status, GError **error)
{
	enum operation_id id = operation_id_of(line->operation);

	*exit_status = 0;
	if (id == OPERATION_CERT_SHOW)
		return show_files(line, error);
	if (id == OPERATION_CERT_VERIFY)
		return verify_cert(line, exit_status, error);
	return message_command_run(line, exit_status, error);
}
