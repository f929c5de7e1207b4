# The only folder that includes <openssl/...>.
libpki_a_SOURCES += \
	%D%/base64.c %D%/base64.h \
	%D%/ber.c %D%/ber.h %D%/tlv.c %D%/tlv.h \
	%D%/cms.c %D%/cms.h \
	%D%/cms_oid.c %D%/cms_oid.h \
	%D%/cms_id.c %D%/cms_id.h \
	%D%/cms_attributes.c %D%/cms_attributes.h \
	%D%/cms_sign.c %D%/cms_sign.h \
	%D%/cms_encrypt.c %D%/cms_encrypt.h \
	%D%/cms_recipient.c %D%/cms_recipient.h \
	%D%/cms_password.c %D%/cms_password.h \
	%D%/cms_signed.c %D%/cms_signed.h \
	%D%/cms_signer_info.c %D%/cms_signer_info.h \
	%D%/cms_verify.c %D%/cms_verify.h \
	%D%/cms_enveloped.c %D%/cms_enveloped.h \
	%D%/cms_unwrap.c %D%/cms_unwrap.h \
	%D%/cms_decrypt.c %D%/cms_decrypt.h \
	%D%/cms_inspect.c %D%/cms_inflate.c %D%/cms_inspect.h

libpki_a_SOURCES += \
	%D%/algorithms.c %D%/algorithms.def %D%/algorithms.h \
	%D%/asn1_text.c %D%/internal.h \
	%D%/bundle.c %D%/bundle.h %D%/bundle_internal.h \
	%D%/bundle_format.c %D%/bundle_password.c %D%/bundle_pem.c \
	%D%/bundle_pkcs12.c %D%/bundle_salt.c %D%/bundle_salt.h %D%/bundle_write.c \
	%D%/cert.c %D%/cert.h %D%/cert_facts.c %D%/cert_fields.c %D%/cert_fields.h %D%/cert_inherit.c \
	%D%/cert_internal.h %D%/cert_lazy.c %D%/cert_light.c %D%/cert_urls.c %D%/cert_whole.c \
	%D%/chain.c %D%/chain.h %D%/chain_report.c %D%/chain_report.h \
	%D%/path_revocation.c %D%/path_revocation.h %D%/chain_status.c %D%/chain_status.h %D%/chain_candidates.c %D%/chain_strength.c \
	%D%/cert_scan.c %D%/cert_scan.h %D%/cert_scan_internal.h %D%/cert_scan_name.c \
	%D%/cert_rules.c %D%/cert_rules.h %D%/names.c %D%/names.h \
	%D%/chain_policy.c %D%/chain_policy.h %D%/chain_search.c %D%/chain_search.h \
	%D%/sentences.c %D%/sentences.def %D%/sentences.h \
	%D%/crl.c %D%/crl.h %D%/crl_check.c %D%/crl_check.h \
	%D%/crl_internal.h %D%/crl_read.c %D%/crl_show.c \
	%D%/csr.c %D%/csr.h \
	%D%/der.c %D%/der.h \
	%D%/issue.c %D%/issue.h %D%/issue_crl.c %D%/issue_extensions.c %D%/issue_extensions.h \
	%D%/issue_internal.h %D%/issue_names.c \
	%D%/key.c %D%/key.h %D%/key_sign.c %D%/key_sign.h %D%/ocsp.c %D%/ocsp.h \
	%D%/ocsp_answer.c %D%/ocsp_answer.h %D%/ocsp_inquiry.c \
	%D%/seal.c %D%/seal.h

libpki_a_SOURCES += %D%/spool_cipher.c %D%/spool_cipher.h
libpki_a_SOURCES += %D%/pem_cut.c %D%/pem_cut.h
libpki_a_SOURCES += %D%/cert_points.c %D%/cert_points.h
libpki_a_SOURCES += %D%/capabilities.c %D%/capabilities.h
libpki_a_SOURCES += %D%/cms_plausible.c %D%/cms_plausible.h
libpki_a_SOURCES += %D%/jws.c %D%/jws.h
libpki_a_SOURCES += %D%/cmp.c %D%/cmp.h %D%/cmp_internal.h %D%/cmp_journal.c %D%/cmp_setup.c
libpki_a_SOURCES += %D%/cert_tls.c
libpki_a_SOURCES += %D%/key_ec.c %D%/key_ec.h
