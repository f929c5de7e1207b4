/*
 * signers - who signed a layer of a message file, and is he believed; used by layers.c.
 */
#ifndef MILTER_SIGNERS_H
#define MILTER_SIGNERS_H

#include "milter/layers.h"

struct cms_verify_report;

/* Adds all signers of the report to the reading's. covers: the layer is all that is shown. FALSE
 * with reading->error when it could not be found out. */
gboolean signers_add(struct reading *reading, const struct cms_verify_report *report,
		     gboolean covers);

#endif
