/*
 * folder_publisher - keeps the folder of publish_dir as it should be, on each host that has one.
 *
 * A thread that is woken by the change log and looks once a minute anyhow; no job, for these are
 * shared by all daemons and the folder is this one's.
 */
#ifndef ADMIN_JOBS_FOLDER_PUBLISHER_H
#define ADMIN_JOBS_FOLDER_PUBLISHER_H

#include <glib.h>

#include "store/base/cleanup.h"

struct folder_publisher;
struct gateway;

struct folder_publisher *folder_publisher_start(struct gateway *gateway);
void folder_publisher_stop(struct folder_publisher *publisher); /* NULL is fine */

DEFINE_CLEANUP(folder_publisher, folder_publisher_stop)

#endif
