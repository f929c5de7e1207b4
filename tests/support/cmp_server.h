/*
 * cmp_server - a CA that speaks CMP, on the server side of OpenSSL's own API: it really issues.
 *
 * No independent check of the protocol, for OpenSSL is on both ends; what it checks is our
 * transport, polling, confirming and going on after an interruption. Transactions live side by
 * side. What it issued, confirmed and revoked is counted by public key.
 */
#ifndef TESTS_SUPPORT_CMP_SERVER_H
#define TESTS_SUPPORT_CMP_SERVER_H

#include <glib.h>

struct cmp_server;

struct cmp_server_options {
	const char *reference, *secret; /* NULL: signatures alone, ours and the client's */
	gboolean answers_signed;        /* even to a client with the secret */
	guint polls;                    /* so many times "wait" before there is a certificate */
	int check_after;
	gboolean implicit_confirm;    /* granted when it is asked for */
	gboolean refuse_twice;        /* duplicateCertReq for a key that was confirmed */
	gboolean unprotected_errors;  /* as it sends them */
	gboolean wrong_name;          /* issues for somebody else's address */
	gboolean silent_about_itself; /* has no CA certificates to tell */
	int failure;                  /* bit of a refusal; -1: none */
};

struct cmp_server *cmp_server_new(const struct cmp_server_options *options);
void cmp_server_free(struct cmp_server *server);
/* May be changed between messages. */
struct cmp_server_options *cmp_server_options(struct cmp_server *server);
/* NULL: it has no answer (what it got is no message). */
GBytes *cmp_server_answer(struct cmp_server *server, GBytes *request);
GBytes *cmp_server_ca(struct cmp_server *server); /* its certificate, DER; borrowed */
/* A certificate and key (PKCS#8) it has issued for somebody, for signed requests. */
GBytes *cmp_server_client(struct cmp_server *server, const char *name, GBytes **key);
guint cmp_server_issued(struct cmp_server *server);    /* all, also what nobody confirmed */
guint cmp_server_confirmed(struct cmp_server *server); /* by certConf, or implicitly */
guint cmp_server_rejected(struct cmp_server *server);  /* sent back by the client */
guint cmp_server_revoked(struct cmp_server *server);
/* All transactions are forgotten, as after a restart. */
void cmp_server_forget(struct cmp_server *server);

#endif
