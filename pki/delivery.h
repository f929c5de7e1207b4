/*
 * delivery - how a key and its certificates reach their user: what is asked for, what is checked
 * before anything is made, and the PKCS#12 file in the end (C3, C8, C10, C11).
 *
 * The mail never has the password, which goes by SMS, is shown once to who may export keys, is
 * kept in the user's preferences if asked, or was given by hand. Threads: any.
 */
#ifndef PKI_DELIVERY_H
#define PKI_DELIVERY_H

#include <glib.h>

#include "store/outbox.h"

struct clock;
struct db;
struct keyring;
struct secret;
struct settings;
struct tx;

#define DELIVERY_PASSWORD_MIN 12 /* characters of one that is given */
#define DELIVERY_PASSWORD_MAX 128

struct delivery {
	struct db *db;
	struct keyring *keyring;
	struct clock *clock;
	const struct settings *settings;
};

struct delivery_options {
	const char *to;          /* NULL: the certificate's address */
	struct secret *password; /* NULL: generated */
	gboolean sms;            /* the password goes to the user's telephone */
	gboolean store_password; /* and into his preferences */
	gboolean compatible;     /* weak encryption, for programs that read nothing else */
	gboolean shown_once;     /* who may export keys may have the password shown, once */
	gboolean allow_mismatch; /* `to` may be another address; needs the role keys */
	const char *language;    /* "en", "de"; NULL: the default one */
	const char *requester;   /* who asks, for the record; or NULL */
};

/* Before anything is made: sender set (ca mail_from), the MTA's listener, transport of SMS, user
 * and telephone, password strong enough and known to somebody ... INVALID says what is missing. */
gboolean delivery_check(const struct delivery *delivery, const char *email,
			const struct delivery_options *options,
			GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* The outbox row of a request, waiting for outbox_ready(); password sealed. */
gboolean delivery_prepare(const struct delivery *delivery, struct tx *tx, gint64 request_id,
			  const char *email, const struct delivery_options *options,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* A further request (the other half of a pair) whose certificate goes into the same file. */
gboolean delivery_join(struct tx *tx, gint64 request_id, gint64 further_request_id,
		       GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Of certificates that are there (thumbprints): due at once. */
gboolean delivery_prepare_certs(const struct delivery *delivery, struct tx *tx, const char *email,
				const char *const *thumbprints,
				const struct delivery_options *options, gint64 *id,
				GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* --- passwords (C11) --- */
/* As many random bytes as asked for, in letters and digits that cannot be taken for others, in
 * groups of four. */
struct secret *delivery_password_make(gsize bytes, GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* INVALID says what is wrong with one that was given. */
gboolean delivery_password_check(const struct secret *password, const char *email,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;
/* Unsealed. NOT_FOUND: erased. */
struct secret *delivery_password(const struct delivery *delivery, gint64 id,
				 GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* --- the file --- */
/* What the mail says of it. Zero it before, clear it afterwards. */
struct delivery_content {
	char *name;       /* of the first certificate */
	char *root;       /* subject of the root that goes along; NULL: none */
	gint64 not_after; /* of the first certificate */
	guint keys;
};
/* Keys and certificates of its parts, and the chain with the root (C14). */
GBytes *delivery_bundle(const struct delivery *delivery, const struct outbox_row *row,
			struct delivery_content *content, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void delivery_content_clear(struct delivery_content *content);

#endif
