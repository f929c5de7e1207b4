/*
 * reason - look-ups in reasons.def.
 */
#include "store/base/reason.h"

#include <stddef.h>

static const struct {
	const char *name;
	const char *reply;
	const char *sentence;
} reasons[] = {
#define REASON(id, name, reply, sentence) { name, reply, sentence },
#include "store/base/reasons.def"
#undef REASON
};

const char *
reason_name(enum reason reason)
{
	return reasons[reason].name;
}

const char *
reason_reply(enum reason reason)
{
	return reasons[reason].reply;
}

const char *
reason_sentence(enum reason reason)
{
	return reasons[reason].sentence;
}
