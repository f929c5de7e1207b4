/*
 * importing - several files into the stores: one line an object and a total (K6).
 *
 * Private keys enter only with the role keys; what else the file holds is taken all the same.
 */
#ifndef ADMIN_API_IMPORTING_H
#define ADMIN_API_IMPORTING_H

#include "admin/api/call.h"

enum importing_mode {
	IMPORTING_STORE,      /* certificates, keys, CRLs */
	IMPORTING_WITH_ROOTS, /* self-signed CA certificates become roots */
	IMPORTING_ROOTS_ONLY, /* and nothing else is taken */
	IMPORTING_CRLS_ONLY,
};

/* The files of the argument "files". */
json_t *importing_run(struct call *call, enum importing_mode mode, GError **error);

#endif
