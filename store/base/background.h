/*
 * background - threads whose work can wait: mail comes first.
 *
 * The calling thread runs from then on only where nothing else wants the core (SCHED_IDLE, else
 * the lowest priority). There is no way back. What cannot be set stays as it is.
 */
#ifndef STORE_BASE_BACKGROUND_H
#define STORE_BASE_BACKGROUND_H

#include <glib.h>

void background_thread(void);
/* The share of all cores that was busy during that time, 0 to 1; -1: cannot be told. */
double background_busy(guint milliseconds);

#endif
