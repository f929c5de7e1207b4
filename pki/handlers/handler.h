/*
 * handler - a source of certificates behind one table of functions (C4).
 *
 * A handler gets a CSR and the subject's data and says issued, pending, rejected or retry. It keeps
 * nothing in memory: what it must remember is its handle, saved with the request. Errors mean that
 * nothing could be found out; the peer's "no" is an answer with its class. Threads: any.
 */
#ifndef PKI_HANDLERS_HANDLER_H
#define PKI_HANDLERS_HANDLER_H

#include <glib.h>

struct clock;
struct db;
struct keyring;
struct request_row;
struct tx;

enum handler_status { HANDLER_ISSUED, HANDLER_PENDING, HANDLER_REJECTED, HANDLER_RETRY };

/* Classes of a peer's errors, whatever its own codes. */
enum handler_error_class {
	HANDLER_ERROR_NONE,
	HANDLER_ERROR_INPUT,     /* the request must be changed */
	HANDLER_ERROR_CONFIG,    /* an administrator must act: credentials, quota, profile */
	HANDLER_ERROR_TRANSIENT, /* again later */
	HANDLER_ERROR_HUMAN,     /* waits for a person at the CA */
	HANDLER_ERROR_CONFLICT,  /* look before trying again */
};

struct handler_context {
	struct db *db;
	struct keyring *keyring;
	struct clock *clock;
	const char *config; /* name of the configuration */
};

struct handler_answer {
	enum handler_status status;
	GPtrArray *certs;  /* struct cert *; the issued one first, then its chain */
	char *handle;      /* pending: how to ask again */
	gint64 not_before; /* pending, retry: do not ask earlier; 0: our own schedule */
	enum handler_error_class error_class;
	char *code, *text; /* the peer's, printable */
};

struct handler_capabilities {
	gboolean synchronous;  /* answers in the same call */
	gboolean csr_download; /* a person may take the CSR elsewhere */
	gboolean csr_upload;   /* and bring the certificate back */
	gboolean revokes;
	gboolean uses_crl_url;
};

struct handler {
	const char *name; /* "builtin" */
	const char *sentence;
	struct handler_capabilities capabilities;
	/* Ready to be chosen? NULL, or what it lacks and how to mend it (owned by the caller). */
	char *(*lacks)(const struct handler_context *context, GError **error);
	/* Synchronous handlers act inside tx; others get tx NULL and must not hold one. */
	gboolean (*submit)(const struct handler_context *context, struct tx *tx,
			   const struct request_row *request, struct handler_answer *answer,
			   GError **error);
	gboolean (*poll)(const struct handler_context *context, const struct request_row *request,
			 struct handler_answer *answer, GError **error);
	gboolean (*revoke)(const struct handler_context *context, struct tx *tx,
			   const char *issuer_thumbprint, const char *serial, const char *handle,
			   const char *reason, GError **error);
	/* The CA's own certificates, struct cert *, for import on demand; NULL when not known. */
	GPtrArray *(*chain)(const struct handler_context *context, GError **error);
};

const struct handler *const *handlers_all(gsize *n);
/* NULL with INVALID that offers the nearest name. */
const struct handler *handler_find(const char *name, GError **error) G_GNUC_WARN_UNUSED_RESULT;
const char *handler_error_class_name(enum handler_error_class error_class); /* "transient" */
void handler_answer_clear(struct handler_answer *answer);

extern const struct handler handler_builtin;

#endif
