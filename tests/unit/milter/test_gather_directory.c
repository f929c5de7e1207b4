/*
 * What directories say, up to the ruling: known, unknown, not asked, and told while it waits.
 */
#include <string.h>

#include "store/base/clock.h"
#include "tests/unit/milter/reasons_seen.h"
#include "tests/unit/milter/site_fixture.h"

#define NOW G_GINT64_CONSTANT(1790000000)

static struct site *site;

static struct ruling *
rule(const char *recipients)
{
	const struct site_mail mail = { .recipients = recipients };
	g_autoptr(GError) error = NULL;
	struct ruling *ruling = site_rule(site, &mail, &error);

	g_assert_no_error(error);
	reasons_seen(ruling->groups->reason);
	return ruling;
}

static void
people(void)
{
	CLEANUP(cert)
	struct cert *alice = site_issue(site, "alice@corp.example", KEY_KIND_EC, SITE_KEY_HELD);
	CLEANUP(cert)
	struct cert *bob = site_issue(site, "bob@partner.example", KEY_KIND_EC, SITE_KEY_ELSEWHERE);

	site_prefer(site, "corp.example", "locality", "internal");
	site_prefer(site, "corp.example", "sign_mode", "never");
	site_directory(site, "partner.example");
	site_answer(site, "none@partner.example", DIRECTORY_NONE);
	site_answer(site, "found@partner.example", DIRECTORY_FOUND); /* and gone since */
	site_answer(site, "failed@partner.example", DIRECTORY_FAILED);
	site_answer(site, "elsewhere@other.example", DIRECTORY_FAILED);
}

static void
test_known(void)
{
	static const struct {
		const char *what, *mode, *recipient;
		enum reason reason;
	} rows[] = {
		{ "a certificate: nobody is asked", "force", "bob@partner.example",
		  REASON_DONE_ENCRYPTED },
		{ "try, surely none: plain", "opportunistic", "none@partner.example",
		  REASON_PLAIN_OPPORTUNISTIC },
		{ "must, surely none: refused", "force", "none@partner.example",
		  REASON_REFUSED_NO_CERTIFICATE },
		{ "try, found and not valid: plain", "opportunistic", "found@partner.example",
		  REASON_PLAIN_OPPORTUNISTIC },
		{ "try, failed: deferred", "opportunistic", "failed@partner.example",
		  REASON_DEFERRED_DIRECTORY },
		{ "must, failed: deferred", "force", "failed@partner.example",
		  REASON_DEFERRED_DIRECTORY },
		{ "try, not asked yet: deferred", "opportunistic", "new@partner.example",
		  REASON_DEFERRED_DIRECTORY },
		{ "must, not asked yet: deferred", "force", "newer@partner.example",
		  REASON_DEFERRED_DIRECTORY },
		{ "nobody wants it: not asked", "none", "newest@partner.example",
		  REASON_PLAIN_NOT_WANTED },
		{ "on a trigger alone: not asked", "allow", "newest@partner.example",
		  REASON_PLAIN_NOT_WANTED },
		{ "a domain without a directory: as before", "force", "elsewhere@other.example",
		  REASON_REFUSED_NO_CERTIFICATE },
		{ "below the domain: another domain", "force", "x@sub.partner.example",
		  REASON_REFUSED_NO_CERTIFICATE },
		{ "refused beats deferred", "force", "none@partner.example failed@partner.example",
		  REASON_REFUSED_NO_CERTIFICATE },
	};

	if (site_skip(site))
		return;
	site_set(site, "directory_wait", "0s");
	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		site_prefer(site, "global", "encrypt_mode", rows[i].mode);
		CLEANUP(ruling) struct ruling *ruling = rule(rows[i].recipient);

		g_test_message("%s", rows[i].what);
		g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
				reason_name(rows[i].reason));
	}
}

/* What comes by itself would not be used: nobody is asked. */
static void
test_manual_selection(void)
{
	if (site_skip(site))
		return;
	site_set(site, "directory_wait", "0s");
	site_prefer(site, "global", "encrypt_mode", "force");
	site_prefer(site, "partner.example", "auto_select_certificates", "off");
	CLEANUP(ruling) struct ruling *ruling = rule("manual@partner.example");
	g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
			reason_name(REASON_REFUSED_NO_CERTIFICATE));
	site_prefer(site, "partner.example", "auto_select_certificates", NULL);
}

/* As the daemon does it: the certificates and the answer, while the message waits. */
static gpointer
answer_later(gpointer address)
{
	g_usleep(300000);
	cert_unref(site_issue(site, address, KEY_KIND_EC, SITE_KEY_ELSEWHERE));
	site_answer(site, address, DIRECTORY_FOUND);
	return NULL;
}

static void
test_told_while_it_waits(void)
{
	static const char *const address = "later@partner.example";
	gint64 start_us;
	GThread *thread;

	if (site_skip(site))
		return;
	site_set(site, "directory_wait", "30s");
	site_prefer(site, "global", "encrypt_mode", "force");
	start_us = clock_monotonic_us();
	thread = g_thread_new("daemon", answer_later, (gpointer)address);
	CLEANUP(ruling) struct ruling *ruling = rule(address);
	g_thread_join(thread);
	g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
			reason_name(REASON_DONE_ENCRYPTED));
	g_assert_cmpint(clock_monotonic_us() - start_us, <, 25 * G_USEC_PER_SEC);
}

static void
test_time_is_over(void)
{
	gint64 start_us;

	if (site_skip(site))
		return;
	site_set(site, "directory_wait", "1s");
	site_prefer(site, "global", "encrypt_mode", "opportunistic");
	start_us = clock_monotonic_us();
	CLEANUP(ruling)
	struct ruling *ruling = rule("a@partner.example b@partner.example "
				     "c@partner.example");
	g_assert_cmpstr(reason_name(ruling->groups->reason), ==,
			reason_name(REASON_DEFERRED_DIRECTORY));
	g_assert_cmpint(clock_monotonic_us() - start_us, >=, G_USEC_PER_SEC);
	g_assert_cmpint(clock_monotonic_us() - start_us, <, 3 * G_USEC_PER_SEC - 1);
}

int
main(int argc, char **argv)
{
	int status;

	g_test_init(&argc, &argv, NULL);
	site = site_start(NOW);
	if (site != NULL)
		people();
	g_test_add_func("/gather/directory/what is known", test_known);
	g_test_add_func("/gather/directory/selection by hand", test_manual_selection);
	g_test_add_func("/gather/directory/told while it waits", test_told_while_it_waits);
	g_test_add_func("/gather/directory/one time for all", test_time_is_over);
	status = g_test_run();
	site_stop(site);
	return status;
}
