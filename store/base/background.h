/*
 * background - threads whose work can wait: mail comes first.
 *
 * There is no way back for a thread. What cannot be set stays as it is.
 */
#ifndef STORE_BASE_BACKGROUND_H
#define STORE_BASE_BACKGROUND_H

#include <glib.h>

enum background {
	BACKGROUND_LOW,  /* gets a small share of a core that others want: it goes on, slowly */
	BACKGROUND_IDLE, /* runs where nothing else wants the core (SCHED_IDLE) */
};

/* Of the calling thread; the first call counts. */
void background_thread(enum background background);
/* Runs func in a thread of its own with that priority and waits for its answer: for who has a
 * priority to keep. No thread can be had: it runs here. Nothing that others wait for (a lock, a
 * transaction) may be held meanwhile. */
gpointer background_call(enum background background, GThreadFunc func, gpointer data);
/* The share of all cores that was busy during that time, 0 to 1; -1: cannot be told. */
double background_busy(guint milliseconds);

#endif
