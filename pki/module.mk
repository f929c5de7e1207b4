include %D%/crypto/module.mk
include %D%/net/module.mk
include %D%/handlers/module.mk

libpki_a_SOURCES += \
	%D%/file_verify.c %D%/file_verify.h \
	%D%/select.h \
	%D%/trust.h
libpki_a_SOURCES += %D%/keyring.h %D%/cert_cache.h %D%/import.h %D%/ca.h %D%/enroll.h
