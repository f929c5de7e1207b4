/* gather_inbound - the message read for those it is inbound to; see gathering.h. */
#include "milter/policy/gathering.h"

void
gather_inbound(struct gathering *g)
{
	(void)g;
}
