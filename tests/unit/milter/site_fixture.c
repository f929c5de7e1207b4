/* site_fixture - see site_fixture.h. */
#include "tests/unit/milter/site_fixture.h"

#include <string.h>

#include "milter/envelope.h"
#include "milter/message/headers.h"
#include "pki/crypto/issue.h"
#include "pki/crypto/key.h"
#include "pki/crypto/seal.h"
#include "pki/import.h"
#include "pki/keyring.h"
#include "store/base/clock.h"
#include "store/db/changelog.h"
#include "store/preferences.h"
#include "store/selections.h"
#include "tests/support/scratch_pg.h"

#define YEAR (365 * 86400)

struct site {
	struct scratch_pg *pg;
	struct clock *clock;
	struct settings *settings;
	struct db *db; /* the daemon's: may write */
	struct keyring *keyring;
	struct gateway *gateway;
	struct key *ca_key;
	struct cert *ca;
	guint serial;
};

static struct settings *
copy_settings(const struct settings *from)
{
	struct settings *to = settings_default();
	gsize count;
	const struct setting_row *rows = setting_rows(&count);

	for (gsize i = 0; i < count; i++) {
		g_autofree char *value = settings_get(from, rows[i].name);

		g_assert_true(settings_set(to, rows[i].name, value, NULL));
	}
	return to;
}

static void
transact(struct site *site, tx_func function, gpointer data)
{
	g_autoptr(GError) error = NULL;

	g_assert_true(db_transaction(site->db, function, data, &error));
	g_assert_no_error(error);
	g_assert_true(changelog_poll(site->gateway->changelog, &error));
	g_assert_no_error(error);
}

static gboolean
tx_add_root(struct tx *tx, gpointer data, GError **error)
{
	gboolean is_new;

	return import_root(tx, data, "import", &is_new, error);
}

static void
make_ca(struct site *site)
{
	g_autoptr(GError) error = NULL;
	gint64 now = clock_now(site->clock);
	struct issue_spec spec = {
		.names = { .common_name = "Test Root" },
		.not_before = now - YEAR,
		.not_after = now + 5 * YEAR,
		.ca = TRUE,
		.path_length = -1,
		.key_usage = KEY_USAGE_CERT_SIGN | KEY_USAGE_CRL_SIGN,
	};

	site->ca_key = key_generate(KEY_KIND_EC, 256, &error);
	g_assert_no_error(error);
	spec.spki = key_spki(site->ca_key);
	site->ca = issue_cert(&spec, NULL, site->ca_key, &error);
	g_assert_no_error(error);
	transact(site, tx_add_root, site->ca);
}

struct site *
site_start(gint64 now)
{
	struct site *site = g_new0(struct site, 1);
	g_autoptr(GError) error = NULL;
	g_autofree char *path = NULL;

	site->pg = scratch_pg_start();
	if (site->pg == NULL) {
		g_free(site);
		return NULL;
	}
	path = g_build_filename(scratch_pg_folder(site->pg), "master.key", NULL);
	site->clock = clock_new_fixed(now);
	site->settings = copy_settings(scratch_pg_settings(site->pg));
	g_assert_true(master_keys_create(path, &error));
	g_assert_no_error(error);
	g_assert_true(settings_set(site->settings, "milter_master_key_file", path, NULL));
	g_assert_true(settings_set(site->settings, "master_key_file", path, NULL));
	site->db = scratch_pg_open(site->pg, DB_ROLE_DAEMON, site->clock);
	site->keyring = keyring_open(site->db, NULL, site->clock, path, NULL, &error);
	g_assert_no_error(error);
	site->gateway = gateway_open_with_clock(settings_ref(site->settings), GATEWAY_MILTER,
						site->clock, &error);
	g_assert_no_error(error);
	make_ca(site);
	return site;
}

void
site_stop(struct site *site)
{
	if (site == NULL)
		return;
	gateway_close(site->gateway);
	keyring_free(site->keyring);
	db_close(site->db);
	cert_unref(site->ca);
	key_unref(site->ca_key);
	settings_unref(site->settings);
	clock_free(site->clock);
	scratch_pg_stop(site->pg);
	g_free(site);
}

gboolean
site_skip(struct site *site)
{
	return site == NULL ? scratch_pg_skip(NULL) : FALSE;
}

struct gateway *
site_gateway(struct site *site)
{
	return site->gateway;
}

void
site_set(struct site *site, const char *setting, const char *value)
{
	g_autoptr(GError) error = NULL;
	struct settings *changed = copy_settings(site->settings);

	g_assert_true(settings_set(changed, setting, value, &error));
	g_assert_no_error(error);
	settings_unref(site->settings);
	site->settings = changed;
	g_assert_true(gateway_reload(site->gateway, settings_ref(changed), &error));
	g_assert_no_error(error);
}

/* ---- preferences ---------------------------------------------------------------------------- */

struct preferring {
	struct scope *scope;
	enum preference preference;
	const char *value;
};

static struct scope *
scope_of(const char *text)
{
	enum scope_kind kind = strcmp(text, "global") == 0 ? SCOPE_GLOBAL
			       : strchr(text, '@') != NULL ? SCOPE_USER
							   : SCOPE_DOMAIN;
	g_autoptr(GError) error = NULL;
	struct scope *scope = scope_parse(kind, text, &error);

	g_assert_no_error(error);
	return scope;
}

static gboolean
tx_prefer(struct tx *tx, gpointer data, GError **error)
{
	struct preferring *p = data;

	if (p->value == NULL)
		return preferences_unset(tx, p->scope, p->preference, error);
	return preferences_set(tx, p->scope, p->preference, p->value, error);
}

void
site_prefer(struct site *site, const char *scope, const char *preference, const char *value)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *normalised = NULL;
	struct preferring p = { .scope = scope_of(scope) };

	g_assert_true(preference_find(preference, &p.preference, &error));
	if (value != NULL)
		normalised = preference_normalise(p.preference, value, &error);
	g_assert_no_error(error);
	p.value = normalised;
	transact(site, tx_prefer, &p);
	scope_free(p.scope);
}

static gboolean
tx_forget(struct tx *tx, gpointer data, GError **error)
{
	static const struct statement forget = { "test_forget", "DELETE FROM preference" };
	struct rows *rows = tx_query(tx, &forget, NULL, error);

	(void)data;
	if (rows == NULL)
		return FALSE;
	rows_free(rows);
	tx_changed(tx, CHANGE_PREFERENCE, NULL);
	return TRUE;
}

void
site_forget_preferences(struct site *site)
{
	transact(site, tx_forget, NULL);
}

/* ---- certificates --------------------------------------------------------------------------- */

struct issuing {
	struct site *site;
	struct cert *cert;
	struct key *key;    /* NULL: not held */
	const char *origin; /* NULL: imported */
};

static gboolean
tx_issue(struct tx *tx, gpointer data, GError **error)
{
	struct issuing *issuing = data;
	struct import_options options = { .name = "test", .origin = (char *)issuing->origin };
	gboolean is_new;

	if (!import_cert(tx, issuing->cert, &options, &is_new, error))
		return FALSE;
	return issuing->key == NULL || keyring_store(issuing->site->keyring, tx, issuing->key,
						     "imported", 0, &is_new, error);
}

static struct cert *
issue_over(struct site *site, const char *address, const struct key *key)
{
	static const char *const purposes[] = { "emailProtection", NULL };
	const char *const emails[] = { address, NULL };
	g_autoptr(GError) error = NULL;
	gint64 now = clock_now(site->clock);
	struct issue_spec spec = {
		.names = { .common_name = address, .emails = emails },
		.not_before = now - 86400 + (gint64)site->serial++,
		.not_after = now + YEAR,
		.path_length = -1,
		.key_usage = KEY_USAGE_DIGITAL_SIGNATURE |
			     (key_kind(key) == KEY_KIND_EC ? KEY_USAGE_KEY_AGREEMENT
							   : KEY_USAGE_KEY_ENCIPHERMENT),
		.extended_usages = purposes,
		.spki = key_spki(key),
	};
	struct cert *cert = issue_cert(&spec, site->ca, site->ca_key, &error);

	g_assert_no_error(error);
	return cert;
}

struct cert *
site_issue(struct site *site, const char *address, enum key_kind kind, enum site_key held)
{
	g_autoptr(GError) error = NULL;
	struct key *key = key_generate(kind, kind == KEY_KIND_EC ? 256 : 2048, &error);
	struct issuing issuing = { .site = site };

	g_assert_no_error(error);
	issuing.cert = issue_over(site, address, key);
	issuing.key = held == SITE_KEY_HELD ? key : NULL;
	transact(site, tx_issue, &issuing);
	key_unref(key);
	return issuing.cert;
}

struct cert *
site_issue_twins(struct site *site, const char *address, const char *other,
		 const char *origin_of_other, struct cert **other_cert)
{
	g_autoptr(GError) error = NULL;
	struct key *key = key_generate(KEY_KIND_RSA, 2048, &error);
	struct issuing first = { .site = site, .key = key };
	struct issuing second = { .site = site, .origin = origin_of_other };

	g_assert_no_error(error);
	first.cert = issue_over(site, address, key);
	second.cert = *other_cert = issue_over(site, other, key);
	transact(site, tx_issue, &first);
	transact(site, tx_issue, &second);
	key_unref(key);
	return first.cert;
}

static gboolean
tx_select(struct tx *tx, gpointer data, GError **error)
{
	return selections_add(tx, data, error);
}

static void
select_with(struct site *site, const char *scope, struct selection_row row)
{
	row.scope = scope_of(scope);
	transact(site, tx_select, &row);
	scope_free(row.scope);
}

void
site_select(struct site *site, const char *scope, const char *kind, const struct cert *cert)
{
	struct selection_row row = { .thumbprint = (char *)cert_thumbprint(cert) };

	while (strcmp(selection_kind_name(row.kind), kind) != 0)
		row.kind = (enum selection_kind)(row.kind + 1);
	select_with(site, scope, row);
}

void
site_select_decrypting(struct site *site, const char *scope, const struct cert *cert)
{
	select_with(site, scope,
		    (struct selection_row){ .kind = SELECTION_ENCRYPT,
					    .thumbprint = (char *)cert_thumbprint(cert),
					    .decrypt = TRUE });
}

void
site_copy_key(struct site *site, const struct cert *from, const struct cert *to)
{
	g_autofree char *sql = g_strdup_printf(
	    "UPDATE private_key SET sealed = (SELECT sealed FROM private_key WHERE spki_sha256 = "
	    "'%s') WHERE spki_sha256 = '%s'",
	    cert_spki_sha256(from), cert_spki_sha256(to));

	scratch_pg_sql(site->pg, sql);
}

static gboolean
tx_directory(struct tx *tx, gpointer data, GError **error)
{
	return directories_put(tx, data, error);
}

void
site_directory(struct site *site, const char *domain)
{
	static char *attributes[] = { (char *)"userCertificate", NULL };
	char *domains[] = { (char *)domain, NULL };
	struct directory_row row = {
		.name = (char *)"partner",
		.host = (char *)"127.0.0.1",
		.port = 1,
		.security = (char *)"none",
		.base = (char *)"",
		.depth = (char *)"sub",
		.filter = (char *)"(mail=%s)",
		.attributes = attributes,
		.domains = domains,
	};

	transact(site, tx_directory, &row);
}

static gboolean
tx_answer(struct tx *tx, gpointer data, GError **error)
{
	return directories_save_answer(tx, data, error);
}

void
site_answer(struct site *site, const char *address, enum directory_outcome outcome)
{
	gint64 now = clock_now(clock_system()); /* what directories say is as of now */
	struct directory_answer_row row = {
		.email = (char *)address,
		.outcome = outcome,
		.note = (char *)"directory partner: a note",
		.asked = now,
		.good_until = now + 3600,
	};

	transact(site, tx_answer, &row);
}

void
site_database_down(struct site *site)
{
	scratch_pg_down(site->pg);
}

void
site_database_up(struct site *site)
{
	g_autoptr(GError) error = NULL;

	scratch_pg_up(site->pg);
	/* The first poll may still meet a dead connection. */
	if (!changelog_poll(site->gateway->changelog, &error))
		g_test_message("after the database came back: %s", error->message);
}

/* ---- messages ------------------------------------------------------------------------------- */

static struct headers *
headers_of(const char *text)
{
	struct headers *headers = headers_new();
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

	for (guint i = 0; lines[i] != NULL; i++) {
		char *colon = strchr(lines[i], ':');

		if (colon == NULL)
			continue;
		*colon = '\0';
		g_assert_true(headers_add(headers, lines[i], colon + 1, strlen(colon + 1), NULL));
	}
	return headers;
}

static const char *
or_usual(const char *value, const char *usual)
{
	return value != NULL ? value : usual;
}

struct ruling *
site_rule(struct site *site, const struct site_mail *mail, GError **error)
{
	const char *to = or_usual(mail->recipients, "bob@partner.example");
	const char *login = or_usual(mail->login, "alice@corp.example");
	g_auto(GStrv) recipients = g_strsplit(to, " ", -1);
	g_autofree char *all = g_strjoinv(", ", recipients);
	g_autofree char *usual = g_strdup_printf("From: alice@corp.example\nTo: %s", all);
	CLEANUP(headers) struct headers *headers = headers_of(or_usual(mail->headers, usual));
	struct structure_facts structure = mail->structure;
	struct envelope *envelope = envelope_new();
	struct message_source source = {
		.envelope = envelope,
		.headers = headers,
		.structure = &structure,
	};
	struct ruling *ruling;

	if (structure.size_bytes == 0)
		structure.size_bytes = 2048;
	envelope_set_sender(envelope, or_usual(mail->sender, "alice@corp.example"), NULL);
	envelope->client_address = g_strdup(or_usual(mail->client, "198.51.100.7"));
	envelope->daemon_name = g_strdup(mail->daemon);
	envelope->login = *login != '\0' ? g_strdup(login) : NULL;
	for (guint i = 0; recipients[i] != NULL; i++)
		envelope_add_recipient(envelope, recipients[i], NULL);
	ruling = ruling_make(site->gateway, &source, error);
	/* The written addresses are borrowed; tests look at keys instead. */
	for (guint i = 0; ruling != NULL && i < ruling->count; i++) {
		struct gathered_recipient *r = g_ptr_array_index(ruling->gathered->recipients, i);

		r->written = r->address != NULL ? mailaddr_text(r->address) : "";
	}
	envelope_free(envelope);
	return ruling;
}
