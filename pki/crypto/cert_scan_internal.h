/*
 * cert_scan_internal - what the light readers share: names and addresses without OpenSSL's objects.
 */
#ifndef PKI_CRYPTO_CERT_SCAN_INTERNAL_H
#define PKI_CRYPTO_CERT_SCAN_INTERNAL_H

#include <glib.h>

#include "pki/crypto/cert_fields.h"
#include "pki/crypto/internal.h"
#include "pki/crypto/tlv.h"

struct scan_name {
	char *text;   /* as name_text */
	char *key;    /* as name_key */
	GStrv emails; /* texts of its emailAddress attributes, unparsed; NULL: none */
};

/* Takes the next element off in when it has this tag and its length is written as DER wants. */
gboolean scan_take(struct tlv *in, guint8 tag, struct tlv *content);
gboolean scan_take_whole(struct tlv *in, guint8 tag, struct tlv *whole); /* with its header */
gboolean scan_is_oid(const struct tlv *content);

/* whole: the Name with its header. FALSE when OpenSSL would not read it, or with a NUL in an
 * address. */
gboolean scan_name_read(struct scan_name *name, const struct tlv *whole);
void scan_name_clear(struct scan_name *name);

/* struct mailaddr, without repeats: those of the alternative names, then the texts of the subject
 * (or NULL); what is no address is passed over. FALSE: more than is usual. */
GPtrArray *scan_addresses_new(void);
gboolean scan_addresses(GPtrArray *addresses, const struct cert_fields *fields, GStrv of_subject);

#endif
