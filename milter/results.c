/*
 * results - see results.h.
 */
#include "milter/results.h"

void
results_add(const struct results_request *request, struct edits *edits)
{
	(void)request;
	(void)edits;
}
