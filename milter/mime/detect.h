/*
 * detect - what a message is before anything is done to it.
 *
 * Judged by structure and by the CMS object's own OID, never by the label alone: something that
 * is named application/pkcs7-mime and does not parse is unprotected. Findings only; an error
 * means that the spool could not be read.
 */
#ifndef MILTER_MIME_DETECT_H
#define MILTER_MIME_DETECT_H

#include "milter/mime/leaf.h"

enum protection {
	PROTECTION_NONE,
	PROTECTION_SIGNED,    /* multipart/signed with a CMS signature */
	PROTECTION_OPAQUE,    /* signed-data */
	PROTECTION_ENCRYPTED, /* EnvelopedData or AuthEnvelopedData with at least one recipientInfo
			       */
	PROTECTION_COMPRESSED,
	PROTECTION_CERTS_ONLY,
	PROTECTION_PGP_SIGNED,
	PROTECTION_PGP_ENCRYPTED,
};

struct cms_info; /* pki/crypto/cms_inspect.h */

struct detection {
	enum protection protection;
	struct cms_info *cms;     /* recipientInfos and the like; NULL unless CMS */
	gboolean calendar;        /* text/calendar with method at the root or in an alternative */
	gboolean report;          /* multipart/report */
	gboolean receipt;         /* a read receipt: message/disposition-notification */
	gboolean list_mail;       /* List-Id, or Precedence: list */
	gboolean auto_submitted;  /* Auto-Submitted other than no */
	gboolean resent;          /* has Resent-From */
	gboolean differing_types; /* several Content-Type fields that do not say the same */
	gboolean has_signed_part; /* a signature somewhere inside, not at the root */
	char *malformed;          /* NULL, or why the structure cannot be told */
};

struct detection *detect_message(struct mime_tree *tree, GError **error) G_GNUC_WARN_UNUSED_RESULT;
void detection_free(struct detection *detection);
const char *protection_name(enum protection protection); /* "signed", "pgp-encrypted" */
gboolean protection_is_encrypted(enum protection protection);
gboolean protection_is_signed(enum protection protection);

/* Is it a leaf that by type or file name could hold a CMS object? */
gboolean part_may_be_cms(const struct part *part);
/* Would every program take it for one? Not as a document, nor under a second file name. */
gboolean part_is_plainly_cms(const struct part *part);
/* Looks into a leaf (to its end when whole). *info is NULL when there is no CMS object; *decoding,
 * if wanted, says how its bytes are to be read. FALSE only when the spool cannot be read. */
gboolean part_inspect_cms(const struct mime_tree *tree, const struct part *part, gboolean whole,
			  enum leaf_decoding *decoding, struct cms_info **info,
			  GError **error) G_GNUC_WARN_UNUSED_RESULT;

DEFINE_CLEANUP(detection, detection_free)

#endif
