/*
 * error - one table maps an error code to the HTTP status and the exit code.
 */
#include "store/base/error.h"

struct error_meaning {
	const char *name;
	unsigned int http_status;
	int exit_status;
};

static const struct error_meaning meanings[] = {
	[PS_ERROR_TEMPORARY] = { "temporary", 503, 1 }, [PS_ERROR_INVALID] = { "invalid", 400, 1 },
	[PS_ERROR_USAGE] = { "usage", 400, 2 },         [PS_ERROR_DENIED] = { "denied", 403, 4 },
	[PS_ERROR_NOT_FOUND] = { "not-found", 404, 5 }, [PS_ERROR_BUG] = { "bug", 500, 1 },
	[PS_ERROR_FULL] = { "full", 507, 1 },
};

GQuark
ps_error_quark(void)
{
	return g_quark_from_static_string("postseal-error");
}

static void G_GNUC_PRINTF(3, 0)
    set_error(GError **error, enum ps_error code, const char *format, va_list arguments)
{
	g_autofree char *text = g_strdup_vprintf(format, arguments);

	g_set_error_literal(error, PS_ERROR, (int)code, text);
}

void *
fail(GError **error, enum ps_error code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_error(error, code, format, arguments);
	va_end(arguments);
	return NULL;
}

gboolean
fail_false(GError **error, enum ps_error code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	set_error(error, code, format, arguments);
	va_end(arguments);
	return FALSE;
}

static const struct error_meaning *
meaning_of(const GError *error)
{
	if (error == NULL || error->domain != PS_ERROR || error->code < 0 ||
	    (gsize)error->code >= G_N_ELEMENTS(meanings))
		return &meanings[PS_ERROR_BUG];
	return &meanings[error->code];
}

void
error_to_usage(GError **error)
{
	if (error != NULL && g_error_matches(*error, PS_ERROR, PS_ERROR_INVALID))
		(*error)->code = PS_ERROR_USAGE;
}

unsigned int
error_http_status(const GError *error)
{
	return meaning_of(error)->http_status;
}

int
error_exit_status(const GError *error)
{
	return meaning_of(error)->exit_status;
}

const char *
error_code_name(const GError *error)
{
	return meaning_of(error)->name;
}
