/*
 * table - the handlers there are, one line each; handlers.c lists them. Immutable. Threads: any.
 */
#ifndef PKI_HANDLERS_TABLE_H
#define PKI_HANDLERS_TABLE_H

#include "pki/handlers/handler.h"

extern const struct handler handler_atlas;
extern const struct handler handler_acme;
extern const struct handler handler_builtin;
extern const struct handler handler_cmp;
extern const struct handler handler_est;
extern const struct handler handler_adcs;
extern const struct handler handler_ejbca;
extern const struct handler handler_epki;
extern const struct handler handler_command;
extern const struct handler handler_csr;
extern const struct handler handler_intellicard;

#endif
