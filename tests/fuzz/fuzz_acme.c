/*
 * fuzz_acme - any bytes as what an ACME server says: JSON in each of its places, and a Link field.
 */
#include <stdint.h>
#include <string.h>

#include "pki/handlers/acme_object.h"
#include "pki/handlers/acme_problem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *text = g_strndup((const char *)data, size);
	json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	gint64 start, end;

	g_auto(GStrv) links = acme_links(text, "next");
	if (json == NULL)
		return 0;
	CLEANUP(acme_directory) struct acme_directory *directory = acme_directory_read(json, NULL);
	CLEANUP(acme_order) struct acme_order *order = acme_order_read(json, NULL);
	CLEANUP(acme_authorization)
	struct acme_authorization *authorization = acme_authorization_read(json, NULL);
	CLEANUP(acme_problem) struct acme_problem *problem = acme_problem_read(json);
	g_auto(GStrv) orders = acme_orders_read(json, NULL);
	if (authorization != NULL)
		(void)acme_challenge_of(authorization, "http-01");
	if (problem != NULL) {
		(void)acme_problem_meaning(problem);
		(void)acme_problem_of_challenge(problem);
	}
	if (!acme_window_read(json, &start, &end, NULL))
		start = end = 0;
	json_decref(json);
	return 0;
}
