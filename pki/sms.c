/*
 * sms - whether one can be sent.
 */
#include "pki/sms.h"

#include "pki/delivery.h"
#include "store/base/error.h"

gboolean
sms_check(const struct delivery *delivery, const char *email, GError **error)
{
	(void)delivery;
	(void)email;
	return fail_false(error, PS_ERROR_INVALID,
			  "no SMS can be sent: no transport is set (postseal sms config)");
}
