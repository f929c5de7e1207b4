/*
 * bench_revocation - a long revocation list: parsed by OpenSSL and by us, loaded into the store,
 * heard of on another node, and what it costs a verdict.
 */
#include "tests/bench/bench_store.h"

#include <sys/wait.h>
#include <stdio.h>
#include <string.h>

#include "milter/gateway.h"
#include "pki/crl_load.h"
#include "pki/crypto/crl.h"
#include "pki/crypto/internal.h"
#include "pki/select.h"
#include "pki/trust.h"
#include "store/base/hex.h"
#include "store/db/changelog.h"
#include "store/db/db.h"
#include "tests/support/scratch_pg.h"

#define HEARD_SECONDS_MAX 300
#define LOOKUPS 200000
#define JUDGEMENTS 300

/* --- children: one way each, so that the peak is its own --- */

static double
peak_mib(void)
{
	g_autofree char *text = NULL;
	const char *at;

	if (!g_file_get_contents("/proc/self/status", &text, NULL, NULL))
		return 0;
	at = strstr(text, "VmHWM:");
	return at != NULL ? (double)g_ascii_strtoull(at + 6, NULL, 10) / 1024 : 0;
}

static void
load_into_store(struct settings *settings, GBytes *der)
{
	enum crl_load_outcome outcome = CRL_LOAD_BROKEN;
	g_autofree char *reason = NULL;
	g_autoptr(GError) error = NULL;
	struct db *db = db_open(settings, DB_ROLE_DAEMON, clock_system(), &error);
	CLEANUP(crl_loader)
	struct crl_loader *loader = db != NULL ? crl_loader_new(db, NULL) : NULL;

	if (db == NULL || !crl_load(loader, der, "sample.crl", &outcome, &reason, &error))
		g_error("%s", error->message);
	if (outcome != CRL_LOAD_IN_FORCE)
		g_error("the list is not in force: %s", reason);
}

int
bench_revocation_child(struct settings *settings, const char *way, const char *path)
{
	g_autofree char *content = NULL;
	gsize length = 0;

	if (!g_file_get_contents(path, &content, &length, NULL))
		g_error("%s cannot be read", path);
	g_autoptr(GBytes) der = g_bytes_new_static(content, length);
	double before = peak_mib(), start = bench_seconds();
	if (strcmp(way, "openssl") == 0) {
		const unsigned char *p = (const unsigned char *)content;
		g_autoptr(X509_CRL) crl = d2i_X509_CRL(NULL, &p, (long)length);

		if (crl == NULL)
			g_error("OpenSSL cannot read the list");
		bench_row("crl_openssl_parse", (bench_seconds() - start) * 1e3, "ms");
		bench_row("crl_openssl_memory", peak_mib() - before, "MiB");
	} else if (strcmp(way, "ours") == 0) {
		CLEANUP(crl) struct crl *crl = crl_parse(der, NULL);

		if (crl == NULL)
			g_error("we cannot read the list");
		bench_row("crl_parse", (bench_seconds() - start) * 1e3, "ms");
		bench_row("crl_parse_memory", peak_mib() - before, "MiB");
	} else {
		load_into_store(settings, der);
		bench_row("crl_load", (bench_seconds() - start) * 1e3, "ms");
		bench_row("crl_load_memory", peak_mib() - before, "MiB");
	}
	return 0;
}

static GPid
start_child(const struct bench *bench, const char *program, const char *way, const char *path)
{
	const struct settings *from = scratch_pg_settings(bench->pg);
	g_autofree char *state = g_strdup_printf("state_dir=%s", from->state_dir);
	g_autofree char *run = g_strdup_printf("run_dir=%s", from->run_dir);
	const char *argv[] = { program, "--way", way, "--list", path, state, run, NULL };
	g_autoptr(GError) error = NULL;
	GPid pid;

	fflush(stdout);
	if (!g_spawn_async(NULL, (char **)argv, NULL,
			   G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CHILD_INHERITS_STDIN, NULL, NULL,
			   &pid, &error))
		g_error("%s: %s", program, error->message);
	return pid;
}

static void
await_child(GPid pid)
{
	int status = 0;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		g_error("a child of the bench failed");
}

/* --- in this process: the list in memory, and the other node --- */

struct revoked {
	struct cert *certs[3];
	GBytes *serials[3];
};

/* People of the first CA, one certificate of each. */
static void
choose_revoked(struct gateway *node, struct revoked *revoked)
{
	for (guint i = 0; i < 3; i++) {
		CLEANUP(mailaddr) struct mailaddr *address = bench_address(i * SAMPLE_CAS);
		g_autoptr(GError) error = NULL;
		CLEANUP(selection)
		struct selection *selection = select_encryption(node->select, address, &error);

		if (selection == NULL || selection->used->len == 0)
			g_error("nobody to revoke");
		revoked->certs[i] = cert_ref(selection->used->pdata[0]);
		const ASN1_INTEGER *serial = X509_get0_serialNumber(cert_x509(revoked->certs[i]));
		revoked->serials[i] =
		    g_bytes_new(ASN1_STRING_get0_data(serial), (gsize)ASN1_STRING_length(serial));
	}
}

static gboolean
is_revoked(struct gateway *node, struct cert *cert)
{
	g_autoptr(GError) error = NULL;
	CLEANUP(verdict)
	struct verdict *verdict = trust_judge(node->trust, cert, TRUST_ENCRYPT, &error);

	if (verdict == NULL)
		g_error("%s", error->message);
	return verdict->state == VERDICT_REVOKED;
}

/* From the start of the load to the last of the three answers. */
static void
hear_of_it(const struct bench *bench, struct gateway *node, const struct revoked *revoked,
	   const char *program, const char *path)
{
	GPid pid = start_child(bench, program, "load", path);
	double start = bench_seconds();
	guint heard = 0;

	while (heard < 3 && bench_seconds() - start < HEARD_SECONDS_MAX) {
		if (is_revoked(node, revoked->certs[heard]))
			heard++;
		else
			g_usleep(1000);
	}
	if (heard < 3)
		g_error("the list is not heard of on another node");
	double took = bench_seconds() - start;
	await_child(pid);
	bench_row("crl_heard", took * 1e3, "ms");
}

static double
judge_each(struct gateway *node, struct cert *cert)
{
	gint64 at = clock_now(node->clock);
	double start = bench_seconds();

	for (guint i = 0; i < JUDGEMENTS; i++) {
		g_autoptr(GError) error = NULL;
		CLEANUP(verdict)
		struct verdict *verdict =
		    trust_judge_at(node->trust, cert, TRUST_VERIFY, NULL, at, &error);

		if (verdict == NULL || verdict->state != VERDICT_VALID)
			g_error("not valid: %s",
				verdict != NULL ? verdict->reason : error->message);
	}
	return (bench_seconds() - start) / JUDGEMENTS;
}

static struct cert *
cert_of(struct gateway *node, guint person)
{
	CLEANUP(mailaddr) struct mailaddr *address = bench_address(person);
	g_autoptr(GError) error = NULL;
	CLEANUP(selection)
	struct selection *selection = select_encryption(node->select, address, &error);

	if (selection == NULL || selection->used->len == 0)
		g_error("nobody to judge");
	return cert_ref(selection->used->pdata[0]);
}

/* A whole judgement, nothing remembered of it: beside a CA that has no list at all. */
static void
cost_of_verdict(struct gateway *node)
{
	CLEANUP(cert) struct cert *with = cert_of(node, 3 * SAMPLE_CAS);
	CLEANUP(cert) struct cert *without = cert_of(node, 3 * SAMPLE_CAS + 1);
	g_autoptr(GArray) ratios = g_array_new(FALSE, FALSE, sizeof(double));

	(void)judge_each(node, with);
	(void)judge_each(node, without);
	for (guint round = 0; round < 5; round++) {
		double a = judge_each(node, with), b = judge_each(node, without), ratio = a / b;

		g_array_append_val(ratios, ratio);
	}
	bench_row("crl_verdict_ratio", bench_quantile(ratios, 0.5), "of one without a list");
}

static void
in_memory(GBytes *der)
{
	g_autoptr(GError) error = NULL;
	/* As a filter holds it: without the DER. */
	CLEANUP(crl) struct crl *crl = crl_restore(der, "", "", &error);
	struct crl_item item;
	char serial[33];
	guint found = 0;

	if (crl == NULL)
		g_error("%s", error->message);
	bench_row("crl_entry_memory", (double)crl_memory(crl) / (double)crl_entry_count(crl),
		  "bytes an entry");
	double start = bench_seconds();
	for (guint i = 0; i < LOOKUPS; i++) {
		g_snprintf(serial, sizeof serial, "4%07x%08x%08x%08x", i, i * 2654435761U,
			   i * 40503U, ~i);
		found += crl_find(crl, NULL, serial, &item) ? 1 : 0;
	}
	bench_row("crl_lookup", (bench_seconds() - start) / LOOKUPS * 1e6, "us");
	if (found > 0)
		g_error("found what is not there");
}

void
bench_revocation(const struct bench *bench, const char *program)
{
	g_autofree char *path = g_build_filename(scratch_pg_folder(bench->pg), "sample.crl", NULL);
	g_autoptr(GError) error = NULL;
	struct gateway *node = gateway_open(bench_node_settings(bench), GATEWAY_MILTER, &error);
	struct revoked revoked;

	if (node == NULL)
		g_error("%s", error->message);
	choose_revoked(node, &revoked);
	g_autoptr(GBytes) der =
	    store_sample_crl(bench->sample, 0, revoked.serials, bench->crl_entries);
	if (!g_file_set_contents(path, g_bytes_get_data(der, NULL), (gssize)g_bytes_get_size(der),
				 &error))
		g_error("%s", error->message);
	await_child(start_child(bench, program, "openssl", path));
	await_child(start_child(bench, program, "ours", path));
	hear_of_it(bench, node, &revoked, program, path);
	in_memory(der);
	cost_of_verdict(node);
	for (guint i = 0; i < 3; i++) {
		cert_unref(revoked.certs[i]);
		g_bytes_unref(revoked.serials[i]);
	}
	gateway_close(node);
}
