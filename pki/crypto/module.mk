# sources of this folder
libpki_a_SOURCES += \
	%D%/base64.c %D%/base64.h \
	%D%/cms.c %D%/cms.h \
	%D%/cms_sign.h %D%/cms_encrypt.h %D%/cms_verify.h %D%/cms_decrypt.h %D%/cms_inspect.h
