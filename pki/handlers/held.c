/*
 * held - requests that wait until a person has looked.
 */
#include "pki/handlers/held.h"

#include <string.h>

#include "store/base/clock.h"
#include "store/requests.h"

#define HANDLE "held"
#define PAUSE_SECONDS 86400

void
held_answer(const struct handler_context *context, const char *text, struct handler_answer *answer)
{
	handler_answer_set(answer, HANDLER_PENDING, HANDLER_ERROR_HUMAN, NULL,
			   "%s; look at the CA: if it has issued, upload the certificate (request "
			   "upload), else ask again (request retry)",
			   text);
	g_free(answer->handle);
	answer->handle = g_strdup(HANDLE);
	answer->not_before = clock_now(context->clock) + PAUSE_SECONDS;
}

gboolean
held_still(const struct handler_context *context, const struct request_row *request,
	   gboolean *released, struct handler_answer *answer)
{
	*released = FALSE;
	if (g_strcmp0(request->handle, HANDLE) != 0)
		return FALSE;
	if (request->error_class == NULL || *request->error_class == '\0') {
		*released = TRUE;
		return FALSE;
	}
	held_answer(context,
		    request->error_text != NULL ? "the answer was lost and is still not known"
						: "the answer was lost",
		    answer);
	return TRUE;
}
