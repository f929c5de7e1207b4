/*
 * json_memory - JSON documents carry passwords and keys, so their memory is wiped when freed.
 *
 * To be called once at the start of a program, before any JSON is made.
 */
#ifndef ADMIN_API_JSON_MEMORY_H
#define ADMIN_API_JSON_MEMORY_H

void json_memory_start(void);
/* Wipes and frees what json_dumps gave. NULL is fine. */
void json_memory_free(char *text);

#endif
