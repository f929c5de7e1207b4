/*
 * lost - the one rule for handing in again.
 */
#include "pki/handlers/lost.h"

#include "pki/handlers/answer.h"
#include "store/base/log.h"
#include "store/requests.h"

/* Requests whose outcome nobody could tell, before a person looks. */
#define BLIND_MAX 3

gboolean
lost_may_repeat(enum lost_look look, const struct request_row *request, gint times,
		const char *blind, const char *remedy, struct handler_answer *answer)
{
	switch (look) {
	case LOST_FOUND:
	case LOST_FAILED:
		return FALSE;
	case LOST_NONE:
		return TRUE;
	case LOST_BLIND:
		break;
	}
	if (times >= BLIND_MAX) {
		handler_answer_set(answer, HANDLER_RETRY, HANDLER_ERROR_CONFIG, NULL,
				   "was handed in %d times and no answer came; %s: %s", times,
				   blind, remedy);
		return FALSE;
	}
	log_warning("a certificate whose answer was lost cannot be looked for; it is asked for "
		    "again",
		    "email", request->email, "why", blind);
	return TRUE;
}

gint64
lost_number(const char *text)
{
	gint64 number = 0;

	return text != NULL && g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &number, NULL)
		   ? number
		   : 0;
}
