/*
 * handler - a source of certificates behind one table of functions (C4).
 *
 * A handler gets a CSR and the subject's data and says issued, pending, rejected or retry. It keeps
 * nothing in memory: what it must remember is its handle, saved with the request, which it may set
 * before it answers (handler_save_handle), so that a program that dies between two questions to the
 * peer goes on from there. Errors mean that nothing could be found out; the peer's "no" is an
 * answer with its class. An answer that was lost after the request had been sent is RETRY with
 * HANDLER_ERROR_CONFLICT: the certificate may exist; submit is then called with request->handle and
 * request->error_class as they were left, and looks before it asks again. Threads: any.
 */
#ifndef PKI_HANDLERS_HANDLER_H
#define PKI_HANDLERS_HANDLER_H

#include <glib.h>

#include "pki/handlers/answer.h"
#include "pki/handlers/config.h"

struct cert;
struct clock;
struct db;
struct keyring;
struct request_row;
struct settings;
struct tx;

struct handler_context {
	struct db *db;
	struct keyring *keyring;
	struct clock *clock;
	const struct settings *settings;
	const struct handler_config *config; /* the configuration that was named */
	/* Commits the handle while submit or poll runs. FALSE with *error: the attempt is not ours
	 * any more, leave. Use handler_save_handle(). */
	gboolean (*save_handle)(gpointer data, const char *handle, GError **error);
	/* TRUE: the program stops; answer RETRY soon. May be NULL. */
	gboolean (*stopping)(gpointer data);
	gpointer data;
};

struct handler_capabilities {
	gboolean synchronous;  /* answers in the same call, inside a transaction */
	gboolean csr_download; /* a person may take the CSR elsewhere */
	gboolean csr_upload;   /* and bring the certificate back */
	gboolean revokes;
	gboolean uses_crl_url;
	gboolean knows_chain; /* chain() can tell the CA's certificates */
	gboolean tests;       /* check() tries the credentials without side effects */
	gboolean tls_names;   /* issues for DNS names, too */
};

struct handler_revocation {
	const struct cert *cert;
	const char *issuer_thumbprint; /* NULL: not in the store */
	const char *serial;            /* lower-case hex */
	const char *handle;            /* of its request; NULL: none known */
	const char *reason;            /* RFC 5280 by name, "keyCompromise"; NULL: unspecified */
};

/* When a CA would have a certificate of its renewed (RFC 9773). */
struct handler_advice {
	gint64 start, end;
	gint64 again_seconds; /* it is to be asked again after that; 0: it does not say */
};

struct issue_names;

/* A setting named key_type is the kind of key made for its requests where none is named; one named
 * max_age_days is how long they are waited for instead of the default request_max_age. */
struct handler {
	const char *name; /* "builtin" */
	const char *sentence;
	struct handler_capabilities capabilities;
	const struct handler_key *keys; /* its settings, ended by a row without name; NULL: none */
	/* What it lacks beyond the required keys, with the remedy; NULL: ready. May be NULL. */
	char *(*lacks)(const struct handler_context *context, GError **error);
	/* May leave out or change names that its CSRs would have (texts of the request). NULL:
	 * as they are. */
	void (*shape)(const struct handler_context *context, struct issue_names *names);
	/* Refuses what it would never issue, before anything is made; quick. NULL: it cannot tell.
	 */
	gboolean (*vet)(const struct handler_context *context, struct tx *tx,
			const struct request_row *request, GError **error);
	/* Synchronous handlers act inside tx; others get tx NULL and must not hold one. */
	gboolean (*submit)(const struct handler_context *context, struct tx *tx,
			   const struct request_row *request, struct handler_answer *answer,
			   GError **error);
	gboolean (*poll)(const struct handler_context *context, const struct request_row *request,
			 struct handler_answer *answer, GError **error);
	/* status ISSUED means done (or done before); NULL: the peer cannot. */
	gboolean (*revoke)(const struct handler_context *context, struct tx *tx,
			   const struct handler_revocation *revocation,
			   struct handler_answer *answer, GError **error);
	/* NOT_FOUND: this CA says nothing of that kind; else it could not be asked. NULL: no CA of
	 * this kind does. */
	gboolean (*advise)(const struct handler_context *context, const struct cert *cert,
			   struct handler_advice *advice, GError **error);
	/* The CA's own certificates, struct cert *, for import on demand; NULL when not known. */
	GPtrArray *(*chain)(const struct handler_context *context, GError **error);
	/* Tries the credentials without side effects. ISSUED: good; text says what was found. */
	gboolean (*check)(const struct handler_context *context, struct handler_answer *answer,
			  GError **error);
	/* Gives the account with the CA a new key. ISSUED: it has one. NULL: there is none. */
	gboolean (*rekey)(const struct handler_context *context, struct handler_answer *answer,
			  GError **error);
};

const struct handler *const *handlers_all(gsize *n);
/* NULL with INVALID that offers the nearest name. */
const struct handler *handler_find(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID names the first thing that is lacking, and how to mend it. */
gboolean handler_is_ready(const struct handler_context *context, const struct handler *handler,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
gboolean handler_save_handle(const struct handler_context *context, const char *handle,
			     GError **error) G_GNUC_WARN_UNUSED_RESULT;

#endif
