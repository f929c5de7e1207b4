/*
 * public_page - what people find who look at the listener with a browser.
 *
 * Plain HTML without a script: the CAs, their fingerprints, their files, and how to install a
 * root. In English, with as few words as will do.
 */
#include <string.h>

#include "admin/http/public_private.h"
#include "milter/gateway.h"
#include "pki/crypto/cert.h"
#include "pki/published.h"
#include "store/base/clock.h"
#include "store/base/log.h"
#include "store/base/printable.h"
#include "store/cache.h"
#include "store/db/changelog.h"
#include "store/publications.h"

#define KEEP_SECONDS 300

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Certification authorities</title>\n<style>\n"
    "body { font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }\n"
    "code { overflow-wrap: anywhere }\ndt { margin-top: .6em; font-weight: bold }\n"
    "section { border-top: 1px solid; margin-top: 1.5em }\n"
    "</style>\n</head>\n<body>\n<h1>Certification authorities</h1>\n";
static const char how[] =
    "<section>\n<h2>How to install a root</h2>\n"
    "<p>Compare its fingerprint with the one that you were told in another way, by telephone or "
    "on paper: whoever can change this page can change the fingerprints on it, too.</p>\n"
    "<dl>\n"
    "<dt>Windows</dt><dd>Open the .cer file, <i>Install Certificate</i>, <i>Place all "
    "certificates in the following store</i>, <i>Trusted Root Certification Authorities</i>. For "
    "all computers of a domain: a group policy.</dd>\n"
    "<dt>macOS, iOS</dt><dd>Open the .cer file, then trust it in <i>Keychain Access</i> or in "
    "<i>Settings</i>, <i>General</i>, <i>About</i>, <i>Certificate Trust Settings</i>.</dd>\n"
    "<dt>Thunderbird, Firefox</dt><dd><i>Settings</i>, <i>Privacy and Security</i>, <i>Manage "
    "Certificates</i>, <i>Authorities</i>, <i>Import</i>.</dd>\n"
    "<dt>Debian, Ubuntu</dt><dd>Copy the .pem file to <code>/usr/local/share/ca-certificates/"
    "NAME.crt</code> and run <code>update-ca-certificates</code>.</dd>\n"
    "<dt>Fedora, RHEL</dt><dd>Copy it to <code>/etc/pki/ca-trust/source/anchors/</code> and run "
    "<code>update-ca-trust</code>.</dd>\n"
    "</dl>\n</section>\n</body>\n</html>\n";

/* Foreign text: a name may hold anything. */
static void
append_text(GString *page, const char *text)
{
	g_autofree char *safe = printable(text);
	g_autofree char *escaped = g_markup_escape_text(safe, -1);

	g_string_append(page, escaped);
}

static void
append_date(GString *page, const char *term, gint64 at)
{
	g_autofree char *text = clock_format(at);

	g_string_append_printf(page, "<dt>%s</dt><dd>%s</dd>\n", term, text);
}

static void
append_fingerprint(GString *page, const char *term, const char *hex)
{
	g_string_append_printf(page, "<dt>%s</dt><dd><code>", term);
	for (gsize i = 0; hex[i] != '\0'; i++) {
		if (i > 0 && i % 2 == 0)
			g_string_append_c(page, ':');
		g_string_append_c(page, g_ascii_toupper(hex[i]));
	}
	g_string_append(page, "</code></dd>\n");
}

/* Links are relative: the page may stand below a path of a proxy. */
static void
append_lists(GString *page, const struct published_ca *ca, const GPtrArray *lists)
{
	g_string_append(page, "<dt>Revocation list</dt><dd>");
	for (guint i = 0; i < lists->len; i++) {
		const struct published_list *list = g_ptr_array_index(lists, i);

		if (strcmp(list->key_id, ca->key_id) != 0)
			continue;
		g_autofree char *part = list->partition > 0
					    ? g_strdup_printf("-%" G_GINT64_FORMAT, list->partition)
					    : g_strdup("");
		g_string_append_printf(page, "<a href=\"crl/%s%s.crl\">.crl%s</a> ", ca->key_id,
				       part, part);
	}
	g_string_append(page, "</dd>\n");
}

static void
append_ca(GString *page, const struct published_ca *ca, const GPtrArray *lists)
{
	g_string_append_printf(page, "<section>\n<h2>%s: ", ca->is_root ? "Root" : "CA");
	append_text(page, cert_subject(ca->cert));
	g_string_append(page, "</h2>\n<dl>\n");
	if (ca->revoked_at != CLOCK_NEVER)
		append_date(page, "REVOKED", ca->revoked_at);
	append_date(page, "Valid from", cert_not_before(ca->cert));
	append_date(page, "Valid to", cert_not_after(ca->cert));
	append_fingerprint(page, "SHA-256", cert_sha256(ca->cert));
	append_fingerprint(page, "SHA-1", cert_sha1(ca->cert));
	g_string_append_printf(page,
			       "<dt>Certificate</dt><dd><a href=\"ca/%s.cer\">.cer</a> "
			       "<a href=\"ca/%s.pem\">.pem</a> <a href=\"ca/%s.p7c\">.p7c</a> "
			       "(with its chain)</dd>\n",
			       ca->key_id, ca->key_id, ca->key_id);
	append_lists(page, ca, lists);
	g_string_append(page, "</dl>\n</section>\n");
}

static GBytes *
make_page(const GPtrArray *cas, const GPtrArray *lists)
{
	GString *page = g_string_new(head);

	if (cas->len == 0)
		g_string_append(page, "<p>There is none yet.</p>\n");
	for (guint i = 0; i < cas->len; i++)
		append_ca(page, g_ptr_array_index(cas, i), lists);
	g_string_append(page, how);
	return g_string_free_to_bytes(page);
}

struct public_answer *
public_page_handle(const struct public_request *request, gpointer data)
{
	struct public *public = data;
	struct db *db = public->gateway->db;
	struct cache_moment began = cache_moment(public->files);
	g_autoptr(GError) why = NULL;
	g_autoptr(GPtrArray) cas = published_cas(db, &why);
	g_autoptr(GPtrArray) lists = cas != NULL ? published_lists_all(db, FALSE, &why) : NULL;

	if (lists == NULL) {
		log_warning("the public page could not be made", "error", why->message);
		return public_answer_text(503, "try again later");
	}
	g_autoptr(GBytes) body = make_page(cas, lists);
	gint64 now = clock_now(public->gateway->clock);
	const struct public_answer_spec spec = {
		.status = 200,
		.content_type = "text/html; charset=utf-8",
		.body = body,
		.last_modified = CLOCK_NEVER,
		.expires = now + 2 * KEEP_SECONDS,
	};
	struct public_answer *answer = public_answer_new(&spec);
	g_autoptr(GArray) tags = public_tags();
	public_keep(public, request, answer, g_bytes_get_size(body), now + KEEP_SECONDS, tags,
		    began);
	return answer;
}
