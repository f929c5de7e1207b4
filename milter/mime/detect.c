/*
 * detect - labels say where to look, the object itself says what it is.
 */
#include "milter/mime/detect.h"

#include <string.h>

#include "milter/mime/content_type.h"
#include "milter/mime/leaf.h"
#include "pki/crypto/cms_inspect.h"
#include "store/base/error.h"

#define PGP_ARMOR "-----BEGIN PGP MESSAGE-----"
#define PGP_HEAD_BYTES 4096

void
detection_free(struct detection *detection)
{
	if (detection == NULL)
		return;
	if (detection->cms != NULL)
		cms_info_free(detection->cms);
	g_free(detection->malformed);
	g_free(detection);
}

const char *
protection_name(enum protection protection)
{
	static const char *const names[] = {
		[PROTECTION_NONE] = "none",
		[PROTECTION_SIGNED] = "signed",
		[PROTECTION_OPAQUE] = "signed-opaque",
		[PROTECTION_ENCRYPTED] = "encrypted",
		[PROTECTION_COMPRESSED] = "compressed",
		[PROTECTION_CERTS_ONLY] = "certs-only",
		[PROTECTION_PGP_SIGNED] = "pgp-signed",
		[PROTECTION_PGP_ENCRYPTED] = "pgp-encrypted",
	};

	return (gsize)protection < G_N_ELEMENTS(names) ? names[protection] : "none";
}

gboolean
protection_is_encrypted(enum protection protection)
{
	return protection == PROTECTION_ENCRYPTED || protection == PROTECTION_PGP_ENCRYPTED;
}

gboolean
protection_is_signed(enum protection protection)
{
	return protection == PROTECTION_SIGNED || protection == PROTECTION_OPAQUE ||
	       protection == PROTECTION_PGP_SIGNED;
}

/* --- the CMS object --- */

static gboolean
name_is_cms(const char *name)
{
	static const char *const ends[] = { ".p7m", ".p7s", ".p7c", ".p7z" };

	for (gsize i = 0; name != NULL && i < G_N_ELEMENTS(ends); i++) {
		gsize length = strlen(name);

		if (length > 4 && g_ascii_strcasecmp(name + length - 4, ends[i]) == 0)
			return TRUE;
	}
	return FALSE;
}

static gboolean
has_cms_type(const struct part *part)
{
	return part_is(part, "application/pkcs7-mime") ||
	       part_is(part, "application/x-pkcs7-mime") ||
	       part_is(part, "application/pkcs7-signature") ||
	       part_is(part, "application/x-pkcs7-signature");
}

gboolean
part_is_plainly_cms(const struct part *part)
{
	const char *value = headers_value(part->headers, "Content-Disposition");
	CLEANUP(content_type) struct content_type *disposition = NULL;
	const char *name = part_parameter(part, "name");
	const char *filename;

	if (has_cms_type(part))
		return TRUE;
	disposition = value != NULL ? content_disposition_parse(value) : NULL;
	filename = disposition != NULL ? content_type_parameter(disposition, "filename") : NULL;
	return part_is(part, "application/octet-stream") && (name == NULL || name_is_cms(name)) &&
	       (filename == NULL || name_is_cms(filename)) &&
	       headers_count_of(part->headers, "Content-Disposition") <= 1;
}

gboolean
part_may_be_cms(const struct part *part)
{
	const char *value;
	CLEANUP(content_type) struct content_type *disposition = NULL;

	if (part->kind != PART_LEAF)
		return FALSE;
	if (has_cms_type(part))
		return TRUE;
	if (!part_is(part, "application/*"))
		return FALSE;
	if (name_is_cms(part_parameter(part, "name")))
		return TRUE;
	value = headers_value(part->headers, "Content-Disposition");
	disposition = value != NULL ? content_disposition_parse(value) : NULL;
	return disposition != NULL && name_is_cms(content_type_parameter(disposition, "filename"));
}

static gboolean
is_identity(const char *encoding)
{
	return strcmp(encoding, "base64") != 0 && strcmp(encoding, "quoted-printable") != 0;
}

gboolean
part_inspect_cms(const struct mime_tree *tree, const struct part *part, gboolean whole,
		 enum leaf_decoding *decoding, struct cms_info **info, GError **error)
{
	enum leaf_decoding tries[] = { LEAF_AS_DECLARED, LEAF_BASE64 };
	gsize count = is_identity(part->encoding) ? 2 : 1; /* base64 that does not say so */

	*info = NULL;
	for (gsize i = 0; i < count && *info == NULL; i++) {
		CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, part, tries[i]);
		GError *why = NULL;

		*info = cms_inspect(leaf_source(leaf), whole ? CMS_INSPECT_ALL : CMS_INSPECT_HEAD,
				    NULL, &why);
		if (*info == NULL && why->code != PS_ERROR_INVALID) {
			g_propagate_error(error, why);
			return FALSE;
		}
		g_clear_error(&why);
		if (decoding != NULL)
			*decoding = tries[i];
	}
	return TRUE;
}

static enum protection
protection_of(const struct cms_info *info)
{
	switch (info->type) {
	case CMS_TYPE_SIGNED:
		return PROTECTION_OPAQUE;
	case CMS_TYPE_CERTS_ONLY:
		return PROTECTION_CERTS_ONLY;
	case CMS_TYPE_ENVELOPED:
	case CMS_TYPE_AUTH_ENVELOPED:
		return info->recipients->len > 0 ? PROTECTION_ENCRYPTED : PROTECTION_NONE;
	case CMS_TYPE_COMPRESSED:
		return PROTECTION_COMPRESSED;
	case CMS_TYPE_UNKNOWN:
	case CMS_TYPE_DATA:
	case CMS_TYPE_DIGESTED:
	case CMS_TYPE_ENCRYPTED:
	case CMS_TYPE_AUTHENTICATED:
		return PROTECTION_NONE;
	}
	return PROTECTION_NONE;
}

static const struct part *
child_of(const struct part *part, guint index)
{
	return part->children != NULL && index < part->children->len ? part->children->pdata[index]
								     : NULL;
}

/*
 * Does it begin like an OpenPGP message (RFC 4880 sections 4.2, 5.1, 5.3 and 6.2): armor, then a
 * packet with a session key, encrypted to a public key or a passphrase? The label alone is
 * nobody's protection.
 */
static gboolean
is_pgp_message(const struct mime_tree *tree, const struct part *part, gboolean *is, GError **error)
{
	CLEANUP(leaf) struct leaf *leaf = leaf_open(tree, part, LEAF_AS_DECLARED);
	g_autoptr(GString) head = g_string_new(NULL);
	const guint8 *bytes;
	const char *at;
	gsize length = 1;

	while (head->len < PGP_HEAD_BYTES && length > 0) {
		if (!source_next(leaf_source(leaf), &bytes, &length, error))
			return FALSE;
		g_string_append_len(head, (const char *)bytes, (gssize)MIN(length, PGP_HEAD_BYTES));
	}
	at = head->str + strspn(head->str, " \t\r\n");
	*is = g_str_has_prefix(at, PGP_ARMOR);
	while (*is && *at != '\0' && *at != '\r' && *at != '\n') { /* to the empty line */
		at = strchr(at, '\n');
		at = at != NULL ? at + 1 : "";
	}
	at += strspn(at, "\r\n");
	/* the first six bits of: old format tag 1, old format tag 3, new format tags 1 and 3 */
	*is = *is && *at != '\0' && strchr("hjw", *at) != NULL;
	return TRUE;
}

static gboolean
detect_multipart(struct mime_tree *tree, struct detection *detection, GError **error)
{
	const struct part *root = tree->root;
	const struct part *second = child_of(root, 1);

	if (root->kind != PART_MULTIPART || second == NULL || root->children->len != 2)
		return TRUE;
	if (part_is(root, "multipart/encrypted") &&
	    part_is(child_of(root, 0), "application/pgp-encrypted")) {
		gboolean is = FALSE;

		if (second->kind == PART_LEAF && !is_pgp_message(tree, second, &is, error))
			return FALSE;
		if (is)
			detection->protection = PROTECTION_PGP_ENCRYPTED;
	} else if (part_is(root, "multipart/signed") &&
		   part_is(second, "application/pgp-signature")) {
		detection->protection = PROTECTION_PGP_SIGNED;
	} else if (part_is(root, "multipart/signed") && second->kind == PART_LEAF) {
		if (!part_inspect_cms(tree, second, FALSE, NULL, &detection->cms, error))
			return FALSE;
		if (detection->cms != NULL && detection->cms->type == CMS_TYPE_SIGNED)
			detection->protection = PROTECTION_SIGNED;
	}
	return TRUE;
}

static gboolean
detect_protection(struct mime_tree *tree, struct detection *detection, GError **error)
{
	if (!detect_multipart(tree, detection, error))
		return FALSE;
	if (part_may_be_cms(tree->root)) {
		if (!part_inspect_cms(tree, tree->root, FALSE, NULL, &detection->cms, error))
			return FALSE;
		if (detection->cms != NULL)
			detection->protection = protection_of(detection->cms);
	}
	return TRUE;
}

/* --- the rest --- */

static gboolean
has_calendar(const struct part *part)
{
	gboolean place = part->parent == NULL || part_is(part->parent, "multipart/alternative");

	if (place && part_is(part, "text/calendar") && part_parameter(part, "method") != NULL)
		return TRUE;
	if (part->kind != PART_MULTIPART || part->children == NULL)
		return FALSE;
	for (guint i = 0; i < part->children->len; i++)
		if (has_calendar(part->children->pdata[i]))
			return TRUE;
	return FALSE;
}

static gboolean
has_part(const struct part *part, gboolean (*is)(const struct part *part))
{
	for (guint i = 0; part->children != NULL && i < part->children->len; i++)
		if (is(part->children->pdata[i]) || has_part(part->children->pdata[i], is))
			return TRUE;
	return FALSE;
}

static gboolean
is_signed_label(const struct part *part)
{
	return part_is(part, "multipart/signed") || part_is(part, "application/pkcs7-mime") ||
	       part_is(part, "application/x-pkcs7-mime");
}

static gboolean
is_receipt(const struct part *part)
{
	return part_is(part, "message/disposition-notification");
}

static gboolean
token_is(const char *value, const char *token)
{
	gsize length = strlen(token);

	value += strspn(value, " \t\r\n");
	return g_ascii_strncasecmp(value, token, length) == 0 &&
	       (value[length] == '\0' || strchr(" \t\r\n;(", value[length]) != NULL);
}

static gboolean
types_differ(const struct headers *headers)
{
	guint count = headers_count_of(headers, "Content-Type");
	CLEANUP(content_type) struct content_type *first = NULL;

	if (count < 2)
		return FALSE;
	first = content_type_parse(headers_value(headers, "Content-Type"));
	for (guint i = 2; i <= count; i++) {
		CLEANUP(content_type)
		struct content_type *other =
		    content_type_parse(headers_find(headers, "Content-Type", i)->value);

		if (first == NULL || other == NULL || !content_type_equal(first, other))
			return TRUE;
	}
	return FALSE;
}

struct detection *
detect_message(struct mime_tree *tree, GError **error)
{
	CLEANUP(detection) struct detection *detection = g_new0(struct detection, 1);
	const struct headers *headers = tree->root->headers;
	const char *submitted = headers_value(headers, "Auto-Submitted");
	const char *precedence = headers_value(headers, "Precedence");

	if (!detect_protection(tree, detection, error))
		return NULL;
	detection->malformed = g_strdup(tree->malformed);
	detection->calendar = has_calendar(tree->root);
	detection->report = part_is(tree->root, "multipart/report");
	detection->receipt = is_receipt(tree->root) || has_part(tree->root, is_receipt);
	detection->has_signed_part = has_part(tree->root, is_signed_label);
	detection->list_mail = headers_count_of(headers, "List-Id") > 0 ||
			       (precedence != NULL && token_is(precedence, "list"));
	detection->auto_submitted = submitted != NULL && !token_is(submitted, "no");
	detection->resent = headers_count_of(headers, "Resent-From") > 0;
	detection->differing_types = types_differ(headers);
	return g_steal_pointer(&detection);
}
