/*
 * Requests: each step is saved, what cannot be done is a state with a reason.
 */
#include "tests/unit/pki/pki_fixture.h"

#include "pki/crypto/csr.h"
#include "pki/enroll_check.h"
#include "pki/enroll_schedule.h"
#include "pki/handlers/config.h"
#include "pki/handlers/handler.h"
#include "store/base/secret.h"
#include "store/cas.h"
#include "store/keys.h"

static void
test_refused(void)
{
	static const struct {
		const char *what;
		struct enroll_order order;
		enum ps_error code;
		const char *says;
	} rows[] = {
		{ "no CA",
		  { .email = "a@b.example", .common_name = "A" },
		  PS_ERROR_INVALID,
		  "postseal ca create" },
		{ "no name", { .email = "a@b.example" }, PS_ERROR_INVALID, "common name" },
		{ "no address", { .common_name = "A" }, PS_ERROR_INVALID, "address" },
		{ "bad address", { .email = "nobody", .common_name = "A" }, PS_ERROR_INVALID, "" },
		{ "bad key",
		  { .email = "a@b.example", .common_name = "A", .key = "rsa:512" },
		  PS_ERROR_INVALID,
		  "rsa:2048" },
		{ "bad handler",
		  { .email = "a@b.example", .common_name = "A", .handler = "bultin" },
		  PS_ERROR_NOT_FOUND,
		  "did you mean 'builtin'" },
	};
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	struct enroll enroll = fixture_enroll(&f);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autoptr(GError) error = NULL;
		gint64 id;
		g_test_message("%s", rows[i].what);
		g_assert_false(fixture_order(&enroll, &rows[i].order, &id, &error));
		g_assert_error(error, PS_ERROR, (gint)rows[i].code);
		g_assert_nonnull(strstr(error->message, rows[i].says));
	}
	fixture_down(&f);
}

static gboolean
set_handler_tx(struct tx *tx, gpointer data, GError **error)
{
	return ca_defaults_set(tx, "handler", data, error);
}

static gboolean
configure_tx(struct tx *tx, gpointer data, GError **error)
{
	static const char *const configs[] = { "second", "third" };
	const struct handler *csr = handler_find("csr", error);
	CLEANUP(secret) struct secret *value = secret_new_text("30");

	for (gsize i = 0; i < G_N_ELEMENTS(configs); i++)
		if (!handler_config_set(tx, data, csr, configs[i], "max_age_days", value, NULL,
					error))
			return FALSE;
	return TRUE;
}

/* One of several configurations can be the default; what an order names goes before it. */
static void
test_default_handler(void)
{
	static const struct {
		const char *set, *handler, *config;
		const char *becomes, *of;
	} rows[] = {
		{ "csr", NULL, NULL, "csr", "default" },
		{ "csr/second", NULL, NULL, "csr", "second" },
		{ "csr/second", "csr", NULL, "csr", "default" },
		{ "csr/second", "csr", "third", "csr", "third" },
	};
	struct fixture f = { 0 };

	if (!fixture_up(&f))
		return;
	struct enroll enroll = fixture_enroll(&f);
	g_autoptr(GError) none = NULL;
	g_assert_true(db_transaction(f.db, configure_tx, enroll.keyring, &none));
	g_assert_no_error(none);
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		struct enroll_order order = { .email = "bob@example.com",
					      .common_name = "Bob",
					      .handler = rows[i].handler,
					      .handler_config = rows[i].config };
		g_autoptr(GError) error = NULL;
		gint64 id;

		g_assert_true(db_transaction(f.db, set_handler_tx, (gpointer)rows[i].set, &error));
		gboolean good = fixture_order(&enroll, &order, &id, &error);
		g_assert_no_error(error);
		g_assert_true(good);
		CLEANUP(request_row) struct request_row *row = requests_find(f.db, id, &error);
		g_assert_cmpstr(row->handler, ==, rows[i].becomes);
		g_assert_cmpstr(row->handler_config, ==, rows[i].of);
	}
	fixture_down(&f);
}

static void
test_issue(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;
	guint worked;
	gint64 id;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	struct enroll enroll = fixture_enroll(&f);
	struct enroll_order order = { .email = "Bob@Example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256",
				      .requester = "root" };
	g_assert_true(fixture_order(&enroll, &order, &id, &error));
	CLEANUP(request_row) struct request_row *fresh = requests_find(f.db, id, &error);
	g_assert_cmpint(fresh->state, ==, REQUEST_NEW);
	g_assert_cmpstr(fresh->email, ==, "bob@example.com");
	g_assert_cmpint(fresh->validity_days, ==, 365);

	g_assert_true(enroll_run_due(&enroll, 10, &worked, &error));
	g_assert_cmpuint(worked, ==, 1);
	CLEANUP(request_row) struct request_row *row = requests_find(f.db, id, &error);
	g_assert_cmpint(row->state, ==, REQUEST_ISSUED);
	g_assert_cmpint(row->attempts, ==, 1);
	g_assert_cmpint(row->next_try, ==, CLOCK_NEVER);
	CLEANUP(csr) struct csr *csr = csr_parse(row->csr, &error);
	g_assert_cmpstr(csr_spki_sha256(csr), ==, row->spki_sha256);

	/* Nothing is due any more, and a second go changes nothing. */
	g_assert_true(enroll_run_due(&enroll, 10, &worked, &error));
	g_assert_cmpuint(worked, ==, 0);
	CLEANUP(request_row) struct request_row *again = NULL;
	g_assert_true(enroll_advance(&enroll, id, &again, &error));
	g_assert_cmpstr(again->thumbprint, ==, row->thumbprint);
	g_autoptr(GPtrArray) certs = certs_by_spki(f.db, row->spki_sha256, &error);
	g_assert_cmpuint(certs->len, ==, 1);
	const struct cert_row *cert = g_ptr_array_index(certs, 0);
	g_assert_cmpint(cert->request_id, ==, id);
	CLEANUP(key_row) struct key_row *key = keys_find(f.db, row->spki_sha256, &error);
	g_assert_cmpint(key->request_id, ==, id);
	g_assert_false(enroll_advance(&enroll, 4711, NULL, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	ca_created_clear(&ca);
	fixture_down(&f);
}

struct act {
	const struct enroll *enroll;
	gint64 id;
	struct cert *cert;
};

static gboolean
retry_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return enroll_retry(act->enroll, tx, act->id, FALSE, error);
}

static gboolean
take_tx(struct tx *tx, gpointer data, GError **error)
{
	struct act *act = data;

	return enroll_take_cert(act->enroll, tx, act->cert, NULL, &act->id, NULL, error);
}

static void
test_failure(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;
	CLEANUP(request_row) struct request_row *failed = NULL;
	CLEANUP(request_row) struct request_row *issued = NULL;
	gint64 id;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	struct enroll enroll = fixture_enroll(&f);
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256",
				      .ca = "Nobody's CA" };
	g_assert_false(fixture_order(&enroll, &order, &id, &error)); /* before anything is made */
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_clear_error(&error);
	order.ca = NULL;
	order.validity_days = 5000;
	g_assert_false(fixture_order(&enroll, &order, &id, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	g_clear_error(&error);
	order.validity_days = 0;
	g_assert_true(fixture_order(&enroll, &order, &id, &error));
	scratch_pg_sql(pg, "UPDATE request SET ca = 'Nobody''s CA'");
	g_assert_true(enroll_advance(&enroll, id, &failed, &error));
	g_assert_cmpint(failed->state, ==, REQUEST_FAILED);
	g_assert_cmpstr(failed->error_class, ==, "permanent-config");
	g_assert_nonnull(strstr(failed->error_text, "Nobody's CA"));
	g_assert_nonnull(failed->csr); /* the key that was made is not lost */

	scratch_pg_sql(pg, "UPDATE request SET ca = NULL");
	struct act act = { &enroll, id, NULL };
	g_assert_true(db_transaction(f.db, retry_tx, &act, &error));
	g_assert_true(enroll_advance(&enroll, id, &issued, &error));
	g_assert_cmpint(issued->state, ==, REQUEST_ISSUED);
	g_assert_cmpstr(issued->error_text, ==, NULL);
	g_assert_cmpstr(issued->spki_sha256, ==, failed->spki_sha256);
	g_assert_false(db_transaction(f.db, retry_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_INVALID);
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_uploaded(void)
{
	struct fixture f = { 0 };
	g_autoptr(GError) error = NULL;
	gint64 id;

	if (!fixture_up(&f))
		return;
	struct ca_created ca = fixture_ca(&f, "ec:P-256");
	struct enroll enroll = fixture_enroll(&f);
	struct enroll_order order = { .email = "bob@example.com",
				      .common_name = "Bob",
				      .key = "ec:P-256" };
	CLEANUP(cert) struct cert *cert = fixture_issue(&f, &order);

	/* As if that certificate had come from elsewhere for a request that waits. */
	scratch_pg_sql(pg, "UPDATE request SET state = 'pending', thumbprint = NULL");
	struct act act = { &enroll, 0, cert };
	g_assert_true(db_transaction(f.db, take_tx, &act, &error));
	CLEANUP(request_row) struct request_row *row = requests_find(f.db, act.id, &error);
	g_assert_cmpint(row->state, ==, REQUEST_ISSUED);
	g_assert_cmpstr(row->thumbprint, ==, cert_thumbprint(cert));
	g_assert_false(db_transaction(f.db, take_tx, &act, &error));
	g_assert_error(error, PS_ERROR, PS_ERROR_NOT_FOUND);
	g_clear_error(&error);

	/* What comes back must be what was asked for. */
	g_assert_false(enroll_check(NULL, row, FIXTURE_NOW, NULL));
	g_assert_true(enroll_check(cert, row, FIXTURE_NOW, &error));
	g_assert_false(enroll_check(cert, row, FIXTURE_NOW + 400 * 86400, NULL));
	g_assert_false(enroll_check(ca.intermediate, row, FIXTURE_NOW, NULL));
	g_free(row->email);
	row->email = g_strdup("eve@example.com");
	g_assert_false(enroll_check(cert, row, FIXTURE_NOW, &error));
	g_assert_nonnull(strstr(error->message, "eve@example.com"));
	g_clear_error(&error);
	g_assert_true(fixture_order(&enroll, &order, &id, &error));
	ca_created_clear(&ca);
	fixture_down(&f);
}

static void
test_schedule(void)
{
	static const guint32 chances[] = { 0, 1, 77777, G_MAXUINT32 };

	for (gsize i = 0; i < G_N_ELEMENTS(chances); i++) {
		gint64 window = 0;
		for (gint n = 1; n <= 10; n++) {
			gint64 pause = enroll_pause(n, chances[i]);
			g_assert_cmpint(pause, >=, 1);
			g_assert_cmpint(pause, <=, 300);
			window += pause;
		}
		g_assert_cmpint(window, >, 300);
		g_assert_cmpint(window, <, 1800);
		for (gint n = 11; n < 100; n++) {
			g_assert_cmpint(enroll_pause(n, chances[i]), >=, 900);
			g_assert_cmpint(enroll_pause(n, chances[i]), <=, 3600);
		}
	}
	/* The peer's word wins, within a day. */
	g_assert_cmpint(enroll_next_try(1000, 1, 0, 1500), ==, 1500);
	g_assert_cmpint(enroll_next_try(1000, 50, 0, 1005), ==, 1005);
	g_assert_cmpint(enroll_next_try(1000, 61, 0, 1005), ==, 1060);
	g_assert_cmpint(enroll_next_try(1000, 1, 0, 1), ==, 1001);
	g_assert_cmpint(enroll_next_try(1000, 1, 0, 1000 + 90000), ==, 1000 + 86400);
	g_assert_cmpint(enroll_next_try(1000, 1, 0, CLOCK_NEVER), ==, CLOCK_NEVER);
}

static void
test_handlers(void)
{
	gsize n;
	const struct handler *const *all = handlers_all(&n);

	g_assert_cmpuint(n, >=, 1);
	for (gsize i = 0; i < n; i++) {
		g_assert_true(handler_find(all[i]->name, NULL) == all[i]);
		g_assert_nonnull(all[i]->submit);
		g_assert_true(all[i]->capabilities.synchronous || all[i]->poll != NULL);
		g_assert_true(!all[i]->capabilities.revokes || all[i]->revoke != NULL);
	}
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	pg = scratch_pg_start();
	g_test_add_func("/enroll/refused before anything is made", test_refused);
	g_test_add_func("/enroll/issued once", test_issue);
	g_test_add_func("/enroll/a failure is a state, and can be tried again", test_failure);
	g_test_add_func("/enroll/a certificate that a person brings", test_uploaded);
	g_test_add_func("/enroll/pauses grow to a ceiling", test_schedule);
	g_test_add_func("/enroll/the default handler", test_default_handler);
	g_test_add_func("/enroll/handlers keep their contract", test_handlers);
	int status = g_test_run();
	scratch_pg_stop(pg);
	return status;
}
