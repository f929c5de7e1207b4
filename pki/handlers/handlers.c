/*
 * handlers - the list of handlers, and what they share.
 */
#include <string.h>

#include "pki/crypto/cert.h"
#include "pki/handlers/handler.h"
#include "pki/handlers/table.h"
#include "store/base/error.h"
#include "store/base/nearest.h"
#include "store/base/printable.h"

/* clang-format off */
static const struct handler *const handlers[] = {
	&handler_builtin, /* each on a line of its own */
	&handler_acme,
	&handler_csr,
	&handler_command,
	&handler_cmp,
	&handler_est,
	&handler_adcs,
	&handler_ejbca,
	&handler_epki,
	&handler_atlas,
	&handler_intellicard,
};
/* clang-format on */

const struct handler *const *
handlers_all(gsize *n)
{
	*n = G_N_ELEMENTS(handlers);
	return handlers;
}

const struct handler *
handler_find(const char *name, GError **error)
{
	struct nearest nearest = nearest_start(name);
	g_autofree char *shown = printable(name);

	for (gsize i = 0; i < G_N_ELEMENTS(handlers); i++) {
		if (strcmp(handlers[i]->name, name) == 0)
			return handlers[i];
		nearest_offer(&nearest, handlers[i]->name);
	}
	const char *found = nearest_found(&nearest);
	return fail(error, PS_ERROR_NOT_FOUND, "unknown request handler '%s'%s%s%s", shown,
		    found != NULL ? ", did you mean '" : "", found != NULL ? found : "",
		    found != NULL ? "'?" : ": see 'postseal handler list'");
}

gboolean
handler_is_ready(const struct handler_context *context, const struct handler *handler,
		 GError **error)
{
	g_autofree char *lacks = handler_config_lacks(context->config);
	g_autoptr(GError) why = NULL;

	if (lacks == NULL && handler->lacks != NULL)
		lacks = handler->lacks(context, &why);
	if (why != NULL) {
		g_propagate_error(error, g_steal_pointer(&why));
		return FALSE;
	}
	return lacks == NULL ||
	       fail_false(error, PS_ERROR_INVALID, "request handler '%s' is not ready: %s",
			  handler->name, lacks);
}

const char *
handler_error_class_name(enum handler_error_class error_class)
{
	switch (error_class) {
	case HANDLER_ERROR_NONE:
		return "none";
	case HANDLER_ERROR_INPUT:
		return "permanent-input";
	case HANDLER_ERROR_CONFIG:
		return "permanent-config";
	case HANDLER_ERROR_TRANSIENT:
		return "transient";
	case HANDLER_ERROR_HUMAN:
		return "pending-human";
	case HANDLER_ERROR_CONFLICT:
		return "conflict";
	}
	return "none";
}

gboolean
handler_save_handle(const struct handler_context *context, const char *handle, GError **error)
{
	return context->save_handle == NULL || context->save_handle(context->data, handle, error);
}

void
handler_answer_set(struct handler_answer *answer, enum handler_status status,
		   enum handler_error_class error_class, const char *code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	char *text = g_strdup_vprintf(format, arguments);
	va_end(arguments);
	g_free(answer->code);
	g_free(answer->text);
	answer->status = status;
	answer->error_class = error_class;
	answer->code = g_strdup(code);
	answer->text = text;
}

void
handler_answer_clear(struct handler_answer *answer)
{
	if (answer->certs != NULL)
		g_ptr_array_unref(answer->certs);
	g_free(answer->handle);
	g_free(answer->code);
	g_free(answer->text);
	*answer = (struct handler_answer){ 0 };
}
