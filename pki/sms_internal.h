/*
 * sms_internal - shared by the files of sms: the settings, filling in, the two transports.
 */
#ifndef PKI_SMS_INTERNAL_H
#define PKI_SMS_INTERNAL_H

#include "pki/handlers/config.h"
#include "pki/sms.h"
#include "store/base/secret.h"

struct settings;

enum sms_escape {
	SMS_ESCAPE_NONE,
	SMS_ESCAPE_URL,  /* RFC 3986: of a query, of a form */
	SMS_ESCAPE_JSON, /* inside of a string */
	SMS_ESCAPE_XML,
	SMS_ESCAPE_HEADER, /* what cannot stand in a field is refused */
};

struct sms {
	const struct handler_config *config;
	const struct settings *settings;
	const char *number;
	const struct secret *text;
};

/* {{number}} {{digits}} {{text}} {{user}} {{from}} {{secret}} filled in, escaped for their place.
 * In memory that is wiped. INVALID: too long, or not for this place. */
struct secret *sms_fill(const struct sms *sms, const char *template, enum sms_escape escape,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID: a placeholder that there is not. */
gboolean sms_template_check(const char *key, const char *template,
			    GError **error) G_GNUC_WARN_UNUSED_RESULT;
enum sms_escape sms_escape_of(const char *content_type);

void sms_by_http(const struct sms *sms, struct sms_outcome *outcome);
void sms_by_command(const struct sms *sms, struct sms_outcome *outcome);
void sms_decide(struct sms_outcome *outcome, enum sms_result result, const char *format, ...)
    G_GNUC_PRINTF(3, 4);

#endif
