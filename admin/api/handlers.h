/*
 * handlers - the functions of the operations, one prototype a row.
 *
 * See admin/api/call.h for what a handler is. They stand in admin/api/<noun>.c.
 */
#ifndef ADMIN_API_HANDLERS_H
#define ADMIN_API_HANDLERS_H

#include "admin/api/call.h"

#define OPERATION(id, noun, verb, method, role, place, handler, ...)                               \
	json_t *handler(struct call *call, GError **error);
#include "admin/api/operations.def"
#undef OPERATION

#endif
