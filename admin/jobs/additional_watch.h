/*
 * additional_watch - archives and escrow whose certificate ends soon or is not valid any more: a
 * line in the log a day, ahead of the messages that it will be missing from (S4).
 *
 * A part of housekeeping. What cannot be looked at is left for the next day.
 */
#ifndef ADMIN_JOBS_ADDITIONAL_WATCH_H
#define ADMIN_JOBS_ADDITIONAL_WATCH_H

struct gateway;

void additional_watch(struct gateway *gateway);

#endif
