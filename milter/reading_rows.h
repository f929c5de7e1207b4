/*
 * reading_rows - what a reading lists: layers, signers, parts. Plain data, owned by the reading.
 */
#ifndef MILTER_READING_ROWS_H
#define MILTER_READING_ROWS_H

#include <glib.h>

#include "milter/mime/verdict.h"
#include "pki/crypto/cms_verify.h"

enum layer_type {
	LAYER_SIGNED,
	LAYER_ENCRYPTED,
	LAYER_COMPRESSED,
	LAYER_CERTS_ONLY,
	LAYER_OTHER, /* shown, not opened: see content_type */
};

struct reading_layer { /* from the outside in */
	enum layer_type type;
	gboolean opaque;        /* signed: not multipart/signed */
	gboolean opened;        /* encrypted: its content was released */
	gboolean authenticated; /* encrypted: by a tag that was right */
	char *content_type;     /* of the CMS object: "enveloped-data" … */
	char *algorithm;        /* content cipher or digest, NULL if not known */
	GPtrArray *recipients;  /* char *: "issuer serial" of each recipientInfo */
};

struct reading_signer {
	struct cert *cert; /* NULL: not there */
	char *subject;
	GPtrArray *emails; /* char * */
	char *digest, *algorithm;
	gint64 signing_time; /* CLOCK_NEVER: none */
	enum signer_signature signature;
	enum signer_trust trust;
	gboolean unknown; /* trust could not be asked */
	char *reason;
	gboolean from_matches;
	gboolean covers; /* all that is shown, not a part of the message alone */
	gboolean legacy; /* with a weak algorithm */
	guint layer;     /* index of its layer */
	guint capabilities;
	guint transports; /* announced likewise: enum cms_transport */
	gboolean has_capabilities;
	struct cms_signer_id encryption; /* which certificate he wants to be encrypted to */
};

struct reading_part { /* for show: one row a part, in order */
	guint depth;
	char *type;
	char *encoding;
	char *name; /* file name or NULL */
	guint64 size;
};

const char *layer_type_name(enum layer_type type);
/* Empty arrays that free their rows. */
GPtrArray *reading_layers_new(void);
GPtrArray *reading_signers_new(void);
GPtrArray *reading_parts_new(void);

#endif
