/*
 * ACME without a server: what is read of its JSON, what its errors mean, digests of answers.
 */
#include <glib.h>
#include <string.h>

#include "pki/handlers/acme_cert.h"
#include "pki/handlers/acme_challenge.h"
#include "pki/handlers/acme_email.h"
#include "pki/handlers/acme_object.h"
#include "pki/handlers/acme_problem.h"
#include "store/base/clock.h"
#include "store/base/error.h"

static json_t *
json_of(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	g_assert_nonnull(json);
	return json;
}

#define U "\"https://ca.example/"
#define DIRECTORY                                                                                  \
	"\"newNonce\":" U "n\",\"newAccount\":" U "a\",\"newOrder\":" U "o\",\"revokeCert\":" U    \
	"r\""

static void
test_directory(void)
{
	static const struct {
		const char *says, *text;
		gboolean good;
	} rows[] = {
		{ "the least", "{" DIRECTORY "}", TRUE },
		{ "what is not known is passed over", "{" DIRECTORY ",\"x\":[1]}", TRUE },
		{ "an order is missing", "{\"newNonce\":" U "n\",\"newAccount\":" U "a\"}", FALSE },
		{ "http is not https", "{" DIRECTORY ",\"newOrder\":\"http://ca.example/\"}",
		  FALSE },
		{ "a blank in a URL", "{" DIRECTORY ",\"newNonce\":\"https://ca.example/ x\"}",
		  FALSE },
		{ "no object", "[]", FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		json_t *json = json_of(rows[i].text);
		g_autoptr(GError) error = NULL;
		CLEANUP(acme_directory)
		struct acme_directory *read = acme_directory_read(json, &error);
		g_test_message("%s", rows[i].says);
		g_assert_true((read != NULL) == rows[i].good);
		json_decref(json);
	}
	json_t *json = json_of("{" DIRECTORY ",\"renewalInfo\":" U "i\",\"meta\":{"
			       "\"externalAccountRequired\":true,\"termsOfService\":\"t\","
			       "\"profiles\":{\"smime\":\"x\",\"tls\":\"y\"}}}");
	CLEANUP(acme_directory) struct acme_directory *read = acme_directory_read(json, NULL);
	g_assert_true(read->eab_required);
	g_assert_cmpstr(read->renewal_info, ==, "https://ca.example/i");
	g_assert_cmpuint(g_strv_length(read->profiles), ==, 2);
	json_decref(json);
}

#define ORDER(status, more)                                                                        \
	"{\"status\":\"" status "\",\"authorizations\":[" U "z\"],\"finalize\":" U "f\","          \
	"\"identifiers\":[{\"type\":\"dns\",\"value\":\"a.example\"}]" more "}"

static void
test_order(void)
{
	static const struct {
		const char *says, *text;
		gboolean good;
	} rows[] = {
		{ "pending", ORDER("pending", ""), TRUE },
		{ "valid with its certificate", ORDER("valid", ",\"certificate\":" U "c\""), TRUE },
		{ "valid without", ORDER("valid", ""), FALSE },
		{ "a status of its own", ORDER("well", ""), FALSE },
		{ "a certificate elsewhere", ORDER("valid", ",\"certificate\":\"file:///etc\""),
		  FALSE },
		{ "no authorizations", "{\"status\":\"pending\",\"finalize\":" U "f\"}", FALSE },
		{ "an authorization that is no URL",
		  "{\"status\":\"pending\",\"authorizations\":[1],\"finalize\":" U "f\","
		  "\"identifiers\":[]}",
		  FALSE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		json_t *json = json_of(rows[i].text);
		g_autoptr(GError) error = NULL;
		CLEANUP(acme_order) struct acme_order *read = acme_order_read(json, &error);
		g_test_message("%s", rows[i].says);
		g_assert_true((read != NULL) == rows[i].good);
		g_assert_true((error == NULL) == rows[i].good);
		json_decref(json);
	}
}

static void
test_authorization(void)
{
	json_t *json = json_of(
	    "{\"status\":\"pending\",\"expires\":\"2026-11-22T06:00:00.123Z\",\"wildcard\":true,"
	    "\"identifier\":{\"type\":\"dns\",\"value\":\"a.example\"},\"challenges\":["
	    "{\"type\":\"http-01\",\"url\":" U "1\",\"status\":\"pending\",\"token\":\"../x\"},"
	    "{\"type\":\"dns-01\",\"url\":" U "2\",\"status\":\"pending\",\"token\":\"abc-_\"},"
	    "{\"type\":\"email-reply-00\",\"url\":" U "3\",\"status\":\"invalid\",\"token\":\"x\","
	    "\"from\":\"ca@ca.example\",\"error\":{\"type\":\"urn:ietf:params:acme:error:dns\","
	    "\"detail\":\"no\"}}]}");
	CLEANUP(acme_authorization)
	struct acme_authorization *read = acme_authorization_read(json, NULL);

	g_assert_true(read->wildcard);
	g_assert_cmpint(read->expires, ==, 1795327200);
	/* A token that leaves its folder is none. */
	g_assert_null(acme_challenge_of(read, "http-01"));
	g_assert_cmpstr(acme_challenge_of(read, "dns-01")->token, ==, "abc-_");
	const struct acme_challenge *mail = acme_challenge_of(read, "email-reply-00");
	g_assert_cmpstr(mail->from, ==, "ca@ca.example");
	g_assert_true(acme_problem_is(mail->problem, "dns"));
	json_decref(json);
}

static void
test_problems(void)
{
	static const struct {
		const char *text;
		enum handler_status status, challenge;
		enum handler_error_class error_class;
	} rows[] = {
		{ "rateLimited", HANDLER_RETRY, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT },
		{ "serverInternal", HANDLER_RETRY, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT },
		{ "connection", HANDLER_RETRY, HANDLER_RETRY, HANDLER_ERROR_TRANSIENT },
		{ "unauthorized", HANDLER_REJECTED, HANDLER_REJECTED, HANDLER_ERROR_CONFIG },
		{ "userActionRequired", HANDLER_RETRY, HANDLER_REJECTED, HANDLER_ERROR_CONFIG },
		{ "rejectedIdentifier", HANDLER_REJECTED, HANDLER_REJECTED, HANDLER_ERROR_INPUT },
		{ "badCSR", HANDLER_REJECTED, HANDLER_REJECTED, HANDLER_ERROR_INPUT },
		{ "ofTheirOwn", HANDLER_REJECTED, HANDLER_REJECTED, HANDLER_ERROR_CONFIG },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *text = g_strdup_printf(
		    "{\"type\":\"urn:ietf:params:acme:error:%s\",\"detail\":\"d\"}", rows[i].text);
		json_t *json = json_of(text);
		CLEANUP(acme_problem) struct acme_problem *problem = acme_problem_read(json);
		struct acme_meaning meaning = acme_problem_meaning(problem);
		g_test_message("%s", rows[i].text);
		g_assert_cmpint(meaning.status, ==, rows[i].status);
		g_assert_cmpint(meaning.error_class, ==, rows[i].error_class);
		g_assert_cmpint(acme_problem_of_challenge(problem).status, ==, rows[i].challenge);
		json_decref(json);
	}
}

static void
test_compound(void)
{
	json_t *json = json_of(
	    "{\"type\":\"urn:ietf:params:acme:error:compound\",\"detail\":\"several\","
	    "\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:dns\",\"detail\":\"one\"},"
	    "{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"two\","
	    "\"identifier\":{\"type\":\"dns\",\"value\":\"b.example\"}}]}");
	CLEANUP(acme_problem) struct acme_problem *problem = acme_problem_read(json);

	g_assert_cmpstr(problem->detail, ==, "several; one; b.example: two");
	g_assert_cmpint(acme_problem_meaning(problem).error_class, ==, HANDLER_ERROR_CONFIG);
	g_assert_cmpint(acme_problem_of_challenge(problem).status, ==, HANDLER_REJECTED);
	g_assert_cmpint(acme_problem_of_challenge(NULL).status, ==, HANDLER_REJECTED);
	json_decref(json);
}

static void
test_links(void)
{
	static const struct {
		const char *field, *relation, *found;
	} rows[] = {
		{ "<https://a.example/1>;rel=\"next\"", "next", "https://a.example/1" },
		{ "<https://a.example/d>;rel=\"index\", <https://a.example/2>;rel=\"alternate\","
		  " <https://a.example/3>; rel=alternate",
		  "alternate", "https://a.example/2 https://a.example/3" },
		{ "<https://a.example/1>; title=\"x\"; rel=\"first next\"", "next",
		  "https://a.example/1" },
		{ "<http://a.example/1>;rel=next", "next", "" },
		{ "<https://a.example/1>;rel=nextel", "next", "" },
		{ "<https://a.example/1", "next", "" },
		{ "", "next", "" },
		{ NULL, "next", "" },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_auto(GStrv) links = acme_links(rows[i].field, rows[i].relation);
		g_autofree char *found = g_strjoinv(" ", links);
		g_assert_cmpstr(found, ==, rows[i].found);
	}
}

/* RFC 8555 section 8.1, with the thumbprint of its example. */
static void
test_key_authorization(void)
{
	g_autofree char *text =
	    acme_key_authorization("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA",
				   "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI");

	g_assert_cmpstr(text, ==,
			"evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA."
			"9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI");
}

/* Digests worked out with sha256sum and basenc. */
static void
test_email_digest(void)
{
	static const struct {
		const char *says, *token1, *token2, *digest;
		gboolean decoded;
	} rows[] = {
		{ "strings", "AAAA", "BBBB", "TZ1LypvRqnvO9yLrPK8eEddT1kzSiQt5fl8sbnu2wcU", FALSE },
		{ "whole groups are the same either way", "AAAA", "BBBB",
		  "TZ1LypvRqnvO9yLrPK8eEddT1kzSiQt5fl8sbnu2wcU", TRUE },
		{ "others are not", "AQ", "Ag", "XkJOojtGr2FnuIbIEwzoFUv2aZ7LxHejYBgRGhi1mcs",
		  FALSE },
		{ "decoded", "AQ", "Ag", "zF656CUknjDxmH0i7IoUO5nyk2HR67Ss9yaminXxpUc", TRUE },
		{ "decoded, but it is none", "A", "Ag", NULL, TRUE },
	};

	for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
		g_autofree char *digest =
		    acme_email_digest(rows[i].token1, rows[i].token2, rows[i].decoded, "t", NULL);
		g_test_message("%s", rows[i].says);
		g_assert_cmpstr(digest, ==, rows[i].digest);
	}
}

static void
test_window(void)
{
	json_t *json = json_of("{\"suggestedWindow\":{\"start\":\"2026-01-02T04:00:00Z\","
			       "\"end\":\"2026-01-03T04:00:00Z\"}}");
	json_t *turned = json_of("{\"suggestedWindow\":{\"start\":\"2026-01-03T04:00:00Z\","
				 "\"end\":\"2026-01-02T04:00:00Z\"}}");
	gint64 start, end;

	g_assert_true(acme_window_read(json, &start, &end, NULL));
	g_assert_cmpint(end - start, ==, 86400);
	g_assert_false(acme_window_read(turned, &start, &end, NULL));
	json_decref(json);
	json_decref(turned);
}

int
main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/acme/directory", test_directory);
	g_test_add_func("/acme/order", test_order);
	g_test_add_func("/acme/authorization", test_authorization);
	g_test_add_func("/acme/problems", test_problems);
	g_test_add_func("/acme/compound", test_compound);
	g_test_add_func("/acme/links", test_links);
	g_test_add_func("/acme/key-authorization", test_key_authorization);
	g_test_add_func("/acme/email-digest", test_email_digest);
	g_test_add_func("/acme/window", test_window);
	return g_test_run();
}
