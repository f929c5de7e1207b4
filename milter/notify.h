/*
 * notify - tells the service manager how we are, by its own datagram protocol (sd_notify(3)).
 *
 * Nothing happens where NOTIFY_SOCKET is not set. Never fails: a manager that does not listen is
 * not worth stopping for.
 */
#ifndef MILTER_NOTIFY_H
#define MILTER_NOTIFY_H

void notify_ready(const char *status);
void notify_reloading(void);
void notify_stopping(void);

#endif
