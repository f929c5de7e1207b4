/*
 * cms_signed - SignedData taken apart as a stream: head, content, tail (RFC 5652 section 5.1).
 */
#ifndef PKI_CRYPTO_CMS_SIGNED_H
#define PKI_CRYPTO_CMS_SIGNED_H

#include "pki/crypto/ber.h"
#include "pki/crypto/cms.h"
#include "pki/crypto/tlv.h"
#include "store/base/cleanup.h"

struct cms_signed {
	const struct cms_limits *limits;
	struct ber ber;
	GPtrArray *digests;      /* GBytes *: AlgorithmIdentifier */
	GBytes *content_oid;     /* whole element */
	gboolean has_content;    /* and it comes next */
	GPtrArray *certs;        /* GBytes * */
	GPtrArray *crls;         /* GBytes * */
	GPtrArray *signer_infos; /* GBytes * */
};

/* The steps in their order; each wants the one before. ContentInfo's [0] is open already. */
gboolean cms_signed_head(struct cms_signed *data, GError **error);
gboolean cms_signed_content(struct cms_signed *data, struct sink *sink, guint64 *size,
			    GError **error);
gboolean cms_signed_skip_content(struct cms_signed *data, GError **error);
gboolean cms_signed_tail(struct cms_signed *data, GError **error);

void cms_signed_init(struct cms_signed *data, struct source *object,
		     const struct cms_limits *limits_or_null);
void cms_signed_clear(struct cms_signed *data);
/* What is inside, in dots. Owned by the caller. */
char *cms_signed_content_type(const struct cms_signed *data);

/* ContentInfo up to its content; the OID as whole element. */
GBytes *cms_content_info_open(struct ber *ber, GError **error);
/* The OID of an AlgorithmIdentifier, and what is left for parameters. */
gboolean cms_algorithm_read(GBytes *algorithm, struct tlv *oid, struct tlv *params);
gboolean cms_oid_is(GBytes *whole, const struct tlv *oid);

#endif
