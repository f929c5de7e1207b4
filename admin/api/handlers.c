/*
 * handlers - binds functions to the rows of the table.
 */
#include "admin/api/handlers.h"

#include "store/base/error.h"

json_t *
client_alone(struct call *call, GError **error)
{
	g_autofree char *name = operation_name(call->operation);

	return fail(error, PS_ERROR_INVALID, "%s is done by the client alone", name);
}

operation_handler
handler_of(enum operation_id id)
{
	static const operation_handler handlers[] = {
#define OPERATION(id, noun, verb, method, role, place, handler, ...) handler,
#include "admin/api/operations.def"
#undef OPERATION
	};

	return handlers[id];
}
