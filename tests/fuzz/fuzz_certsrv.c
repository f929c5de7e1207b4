/*
 * fuzz_certsrv - a page of Microsoft's web enrolment.
 */
#include <stdint.h>
#include <string.h>

#include "pki/handlers/adcs_page.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autoptr(GBytes) html = g_bytes_new(data, size);
	CLEANUP(adcs_page) struct adcs_page *page = adcs_page_read(html);
	gint renewals = adcs_renewals_read(html);

	if (page->text == NULL || strlen(page->text) > ADCS_TEXT_MAX_BYTES || page->id < 0 ||
	    (page->finding == ADCS_ISSUED) > (page->id > 0) || renewals < -1)
		g_error("a page out of bounds");
	return 0;
}
