/*
 * site_fixture - a gateway with a database, a CA and people, for tests of the policy.
 *
 * One a test program; made before any thread. Changes are seen by the gateway at once.
 */
#ifndef TESTS_UNIT_MILTER_SITE_FIXTURE_H
#define TESTS_UNIT_MILTER_SITE_FIXTURE_H

#include <glib.h>

#include "milter/gateway.h"
#include "milter/policy/ruling.h"
#include "pki/crypto/cert.h"
#include "store/directories.h"

struct site;

struct site *site_start(gint64 now); /* NULL: no database here */
void site_stop(struct site *site);   /* NULL is fine */
gboolean site_skip(struct site *site);
struct gateway *site_gateway(struct site *site);
/* Another start-up setting from now on. */
void site_set(struct site *site, const char *setting, const char *value);
/* scope: "global", "corp.example", "*.example.com", "bob@corp.example". value NULL: unset. */
void site_prefer(struct site *site, const char *scope, const char *preference, const char *value);
void site_forget_preferences(struct site *site);

enum site_key { SITE_KEY_HELD, SITE_KEY_ELSEWHERE };
/* A certificate of the site's CA for the address; a reference of the caller's. */
struct cert *site_issue(struct site *site, const char *address, enum key_kind kind,
			enum site_key held);
/* A held one for the address, and one over the same public key for another, as it came by itself
 * ("harvest") or was imported ("import"). References of the caller's. */
struct cert *site_issue_twins(struct site *site, const char *address, const char *other,
			      const char *origin_of_other, struct cert **other_cert);
/* For encryption, and its key opens mail of the scope. */
void site_select_decrypting(struct site *site, const char *scope, const struct cert *cert);
void site_select(struct site *site, const char *scope, const char *kind, const struct cert *cert);
/* The sealed bytes of one key over those of another, as somebody with the database could. */
void site_copy_key(struct site *site, const struct cert *from, const struct cert *to);
/* A directory that serves the domain, and an answer of it that counts for an hour. */
void site_directory(struct site *site, const char *domain);
void site_answer(struct site *site, const char *address, enum directory_outcome outcome);
void site_database_down(struct site *site);
void site_database_up(struct site *site);

/* A message; NULL members take what is usual for a mail from alice@corp.example, logged in, to
 * bob@partner.example. */
struct site_mail {
	const char *sender;
	const char *login;  /* "" none */
	const char *client; /* NULL: 192.0.2.1, an outsider's */
	const char *daemon;
	const char *recipients; /* blank-separated */
	const char *headers;    /* lines "Name: value", LF between; NULL: From and To as usual */
	struct structure_facts structure;
};

/* NULL with *error. */
struct ruling *site_rule(struct site *site, const struct site_mail *mail, GError **error);

#endif
