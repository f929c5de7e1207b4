/*
 * bench_store - parts of the program that measures a large store.
 *
 * A row is one line of JSON: {"name": …, "value": …, "unit": …}. Ratios are of things measured in
 * turns within one run.
 */
#ifndef TESTS_BENCH_BENCH_STORE_H
#define TESTS_BENCH_BENCH_STORE_H

#include <glib.h>

#include "store/config/settings.h"
#include "tests/bench/store_sample.h"

struct mailaddr;
struct scratch_pg;

struct bench {
	struct scratch_pg *pg;
	struct db *db;
	struct store_sample *sample;
	guint certs;     /* in the store at the end */
	guint addresses; /* of people with issued certificates */
	guint crl_entries;
	char *key_file; /* master key */
};

void bench_row(const char *name, double value, const char *unit);
double bench_seconds(void);     /* monotonic */
double bench_cpu_seconds(void); /* of this process */
/* q of 0..1 of values, which are sorted by this. */
double bench_quantile(GArray *doubles, double q);
void bench_put_pem(GByteArray *pem, GBytes *der);
/* bench_import.c: both tables filled in turns. */
void bench_import(struct bench *bench);
/* bench_node.c: what a filter does with it, in a process of its own. */
int bench_node(struct settings *settings, guint addresses);
void bench_node_run(const struct bench *bench, const char *program);
/* From an entry in the CTL on one node to its effect on another. */
void bench_ctl(const struct bench *bench);
/* bench_revocation.c: P10, and how long a list takes to another node. */
void bench_revocation(const struct bench *bench, const char *program);
/* In a process of its own, so that its memory can be told. way: "openssl", "ours", "load". */
int bench_revocation_child(struct settings *settings, const char *way, const char *path);
struct settings *bench_node_settings(const struct bench *bench);
struct mailaddr *bench_address(guint person);
gsize bench_resident(void);

#endif
