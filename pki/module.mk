include %D%/crypto/module.mk
include %D%/net/module.mk
include %D%/handlers/module.mk

libpki_a_SOURCES += %D%/above.c %D%/above.h %D%/named_certs.c %D%/named_certs.h
libpki_a_SOURCES += \
	%D%/crl_load.c %D%/crl_load.h %D%/crl_load_internal.h \
	%D%/crl_load_examine.c %D%/crl_load_put.c \
	%D%/crl_status.c %D%/crl_status.h \
	%D%/file_verify.c %D%/file_verify.h \
	%D%/issuer_pool.c %D%/issuer_pool.h \
	%D%/judge.c %D%/judge.h \
	%D%/ocsp.c %D%/ocsp.h %D%/ocsp_ask.c %D%/ocsp_ask.h \
	%D%/revocation.c %D%/revocation.h \
	%D%/system_roots.c %D%/system_roots.h \
	%D%/select.c %D%/select.h %D%/select_internal.h %D%/select_search.c \
	%D%/trust.c %D%/trust.h %D%/trust_mode.c %D%/trust_mode.h \
	%D%/verdict.c %D%/verdict.h
libpki_a_SOURCES += %D%/bulk.c %D%/bulk.h %D%/bulk_internal.h %D%/bulk_issue.c %D%/bulk_order.h %D%/bulk_run.c %D%/bulk_file.c %D%/bulk_file.h %D%/csv.c %D%/csv.h %D%/key_pool.c %D%/key_pool.h
libpki_a_SOURCES += %D%/keyring.h %D%/cert_cache.h %D%/import.h %D%/import_bulk.c %D%/import_bulk.h %D%/ca.h %D%/enroll.h
libpki_a_SOURCES += \
	%D%/cert_cache.c \
	%D%/harvest.c %D%/harvest.h %D%/import.c \
	%D%/keyring.c \
	%D%/keyring_internal.h \
	%D%/keyring_rotate.c
libpki_a_SOURCES += \
	%D%/ca.c \
	%D%/ca_crl.h \
	%D%/ca_issue.c \
	%D%/ca_names.c \
	%D%/ca_profile.c \
	%D%/ca_revoke.c \
	%D%/ca_warnings.c \
	%D%/ca_profile.h \
	%D%/renewal.c %D%/renewal.h \
	%D%/ca_create.c \
	%D%/ca_crl.c \
	%D%/ca_external.c \
	%D%/ca_internal.h %D%/ca_mint.h %D%/ca_point.c \
	%D%/enroll.c \
	%D%/enroll_check.c \
	%D%/enroll_check.h
libpki_a_SOURCES += %D%/breaker.c %D%/breaker.h %D%/directory.c %D%/directory.h %D%/directory_inquiry.c %D%/directory_inquiry.h \
	%D%/directory_values.c %D%/directory_values.h %D%/directory_wait.c %D%/directory_wait.h \
	%D%/pending.c %D%/pending.h
libpki_a_SOURCES += \
	%D%/crl_refresh.c %D%/crl_refresh.h \
	%D%/fetch_one.c %D%/fetch_one.h \
	%D%/fetch_schedule.c %D%/fetch_schedule.h
libpki_a_SOURCES += \
	%D%/enroll_answer.c %D%/enroll_hand.c %D%/enroll_internal.h %D%/enroll_lease.c \
	%D%/enroll_make.c %D%/enroll_schedule.c %D%/enroll_schedule.h
libpki_a_SOURCES += %D%/ocsp_responder.c %D%/ocsp_responder.h %D%/ocsp_issuers.c %D%/ocsp_issuers.h \
	%D%/ocsp_ahead.c %D%/ocsp_ahead.h %D%/ocsp_internal.h \
	%D%/ocsp_delegate.c %D%/ocsp_delegate.h %D%/published.c %D%/published.h \
	%D%/publish.c %D%/publish.h %D%/publish_internal.h %D%/publish_ldap.c
libpki_a_SOURCES += %D%/delivery.c %D%/delivery.h %D%/delivery_bundle.c %D%/delivery_password.c %D%/sms.c %D%/sms.h %D%/sms_command.c %D%/sms_fill.c %D%/sms_http.c %D%/sms_internal.h
libpki_a_SOURCES += %D%/enroll_revoke.c %D%/enroll_revoke.h
libpki_a_SOURCES += %D%/zip.c %D%/zip.h
libpki_a_SOURCES += %D%/renewal_advice.c %D%/renewal_advice.h
