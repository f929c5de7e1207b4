/*
 * audit_internal - between audit.c and audit_writer.c.
 */
#ifndef STORE_AUDIT_INTERNAL_H
#define STORE_AUDIT_INTERNAL_H

#include "store/audit.h"

#define AUDIT_BATCH_ROWS 500
#define AUDIT_BATCH_MS 1000

#endif
