# The only folder that includes <openssl/...>.
libpki_a_SOURCES += \
	%D%/base64.c %D%/base64.h \
	%D%/cms.c %D%/cms.h \
	%D%/cms_sign.h %D%/cms_encrypt.h %D%/cms_verify.h %D%/cms_decrypt.h %D%/cms_inspect.h

libpki_a_SOURCES += \
	%D%/algorithms.c %D%/algorithms.def %D%/algorithms.h \
	%D%/bundle.h \
	%D%/cert.h \
	%D%/chain.h \
	%D%/crl.h \
	%D%/csr.h \
	%D%/internal.h \
	%D%/issue.h \
	%D%/key.h \
	%D%/seal.h

libpki_a_SOURCES += %D%/spool_cipher.c %D%/spool_cipher.h
