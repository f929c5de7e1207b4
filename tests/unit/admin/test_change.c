/*
 * A change is done once for each id, is audited if and only if it happened, and forgets nothing.
 */
#include <string.h>

#include "admin/api/change.h"
#include "milter/gateway.h"
#include "store/base/error.h"
#include "store/db/tx.h"
#include "store/scopes.h"
#include "tests/support/scratch_pg.h"

static struct scratch_pg *pg;

struct fixture {
	struct gateway gateway;
	struct call call;
	json_t *arguments;
};

static gboolean
up(struct fixture *fixture, const char *id, const char *digest)
{
	if (scratch_pg_skip(pg))
		return FALSE;
	memset(fixture, 0, sizeof *fixture);
	scratch_pg_empty(pg);
	fixture->gateway.db = scratch_pg_open(pg, DB_ROLE_DAEMON, NULL);
	fixture->arguments = json_object();
	fixture->call = (struct call){ .operation = operation_at(OPERATION_USER_ADD),
				       .gateway = &fixture->gateway,
				       .actor = "alice (uid 1000)",
				       .actor_uid = 1000,
				       .arguments = fixture->arguments,
				       .id = id,
				       .digest = digest };
	return TRUE;
}

static void
down(struct fixture *fixture)
{
	json_decref(fixture->arguments);
	db_close(fixture->gateway.db);
}

static guint
audit_rows(struct fixture *fixture)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) rows = audit_admin_list(fixture->gateway.db, NULL, 0, 100, &error);

	g_assert_no_error(error);
	return rows->len;
}

static guint
users(struct fixture *fixture)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) rows =
	    scopes_list(fixture->gateway.db, SCOPE_USER, NULL, NULL, 100, &error);

	g_assert_no_error(error);
	return rows->len;
}

static json_t *
add_user(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	CLEANUP(scope) struct scope *scope = scope_new(SCOPE_USER, data);
	gboolean is_new;

	if (!scopes_add(tx, scope, NULL, &is_new, error))
		return NULL;
	change->object = g_strdup(data);
	change->call->exit_status = 1;
	return json_pack("{s:b}", "new", is_new);
}

static json_t *
add_user_and_fail(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	json_decref(add_user(change, tx, data, error));
	return fail(error, PS_ERROR_INVALID, "no");
}

static json_t *
add_user_and_ask(struct change *change, struct tx *tx, gpointer data, GError **error)
{
	json_decref(add_user(change, tx, data, error));
	return json_pack("{s:s}", "confirm", "sure?");
}

static void
test_a_repeated_request_is_answered_not_done(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;

	if (!up(&fixture, "id-1", "digest"))
		return;
	json_t *first = change_run(&fixture.call, add_user, (gpointer) "a@x.example", &error);
	g_assert_no_error(error);
	g_assert_true(json_is_true(json_object_get(first, "new")));
	fixture.call.exit_status = 0;
	/* Done again it would say that the user is not new. */
	json_t *second = change_run(&fixture.call, add_user, (gpointer) "a@x.example", &error);
	g_assert_no_error(error);
	g_assert_true(json_equal(first, second));
	g_assert_cmpint(fixture.call.exit_status, ==, 1);
	json_t *third = change_repeated(&fixture.call, &error);
	g_assert_no_error(error);
	g_assert_true(json_equal(first, third));
	g_assert_cmpuint(audit_rows(&fixture), ==, 1);
	json_decref(first);
	json_decref(second);
	json_decref(third);
	down(&fixture);
}

static void
test_an_id_is_for_one_request(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;

	if (!up(&fixture, "id-1", "digest"))
		return;
	json_decref(change_run(&fixture.call, add_user, (gpointer) "a@x.example", &error));
	g_assert_no_error(error);
	fixture.call.digest = "another";
	g_assert_null(change_run(&fixture.call, add_user, (gpointer) "b@x.example", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_assert_cmpuint(users(&fixture), ==, 1);
	g_clear_error(&error);
	/* The same id of somebody else is another one. */
	fixture.call.actor = "bob (uid 1001)";
	json_decref(change_run(&fixture.call, add_user, (gpointer) "b@x.example", &error));
	g_assert_no_error(error);
	g_assert_cmpuint(users(&fixture), ==, 2);
	down(&fixture);
}

static void
test_a_failed_act_leaves_nothing(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;

	if (!up(&fixture, "id-1", "digest"))
		return;
	g_assert_null(
	    change_run(&fixture.call, add_user_and_fail, (gpointer) "a@x.example", &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	g_assert_cmpuint(users(&fixture), ==, 0);
	g_assert_cmpuint(audit_rows(&fixture), ==, 0);
	/* And the id is free: the next try is a first one. */
	json_decref(change_run(&fixture.call, add_user, (gpointer) "a@x.example", &error));
	g_assert_no_error(error);
	g_assert_cmpuint(users(&fixture), ==, 1);
	down(&fixture);
}

static void
test_a_question_back_changes_nothing(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;

	if (!up(&fixture, "id-1", "digest"))
		return;
	json_t *answer =
	    change_run(&fixture.call, add_user_and_ask, (gpointer) "a@x.example", &error);
	g_assert_no_error(error);
	g_assert_nonnull(json_object_get(answer, "confirm"));
	g_assert_cmpuint(users(&fixture), ==, 0);
	g_assert_cmpuint(audit_rows(&fixture), ==, 0);
	g_assert_null(change_repeated(&fixture.call, &error));
	g_assert_no_error(error);
	json_decref(answer);
	down(&fixture);
}

static void
test_without_an_id_each_is_done(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;

	if (!up(&fixture, NULL, NULL))
		return;
	json_decref(change_run(&fixture.call, add_user, (gpointer) "a@x.example", &error));
	json_decref(change_run(&fixture.call, add_user, (gpointer) "b@x.example", &error));
	g_assert_no_error(error);
	g_assert_cmpuint(users(&fixture), ==, 2);
	g_assert_cmpuint(audit_rows(&fixture), ==, 2);
	down(&fixture);
}

static void
test_who_is_in_the_record(void)
{
	struct fixture fixture;
	g_autoptr(GError) error = NULL;

	if (!up(&fixture, "id-1", "digest"))
		return;
	json_decref(change_run(&fixture.call, add_user, (gpointer) "a@x.example", &error));
	g_autoptr(GPtrArray) rows = audit_admin_list(fixture.gateway.db, NULL, 0, 1, &error);
	g_assert_no_error(error);
	const struct audit_admin_row *row = g_ptr_array_index(rows, 0);
	g_assert_cmpstr(row->actor, ==, "alice (uid 1000)");
	g_assert_cmpint(row->uid, ==, 1000);
	g_assert_cmpstr(row->from, ==, "socket");
	g_assert_cmpstr(row->operation, ==, "user add");
	g_assert_cmpstr(row->object, ==, "a@x.example");
	down(&fixture);
}

static void
test_digests(void)
{
	const struct operation *import = operation_at(OPERATION_KEY_IMPORT);
	json_t *one = json_pack("{s:s, s:[]}", "password", "secret", "files");
	json_t *other = json_pack("{s:s, s:[]}", "password", "another", "files");
	json_t *more = json_pack("{s:[{s:s, s:s}]}", "files", "name", "a", "content", "");
	g_autofree char *a = change_digest(import, one);
	g_autofree char *b = change_digest(import, other);
	g_autofree char *c = change_digest(import, more);
	g_autofree char *d = change_digest(operation_at(OPERATION_CERT_IMPORT), one);

	/* A password is not in what is stored, not even as a digest. */
	g_assert_cmpstr(a, ==, b);
	g_assert_cmpstr(a, !=, c);
	g_assert_cmpstr(a, !=, d);
	json_decref(one);
	json_decref(other);
	json_decref(more);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/change/repeated", test_a_repeated_request_is_answered_not_done);
	g_test_add_func("/change/one-request", test_an_id_is_for_one_request);
	g_test_add_func("/change/failed", test_a_failed_act_leaves_nothing);
	g_test_add_func("/change/question", test_a_question_back_changes_nothing);
	g_test_add_func("/change/without-id", test_without_an_id_each_is_done);
	g_test_add_func("/change/audit", test_who_is_in_the_record);
	g_test_add_func("/change/digests", test_digests);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
