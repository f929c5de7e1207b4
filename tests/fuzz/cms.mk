# CMS and base64
FUZZ_TARGETS += \
	tests/fuzz/fuzz_base64 \
	tests/fuzz/fuzz_cms_decrypt \
	tests/fuzz/fuzz_cms_verify
tests_fuzz_fuzz_base64_SOURCES = %D%/fuzz_base64.c $(FUZZ_MAIN)
tests_fuzz_fuzz_base64_LDADD = $(PKI_LIBS)
tests_fuzz_fuzz_base64_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_cms_decrypt_SOURCES = %D%/fuzz_cms_decrypt.c $(FUZZ_MAIN) \
	tests/unit/pki/cms_fixture.c tests/unit/pki/cms_fixture.h
tests_fuzz_fuzz_cms_decrypt_LDADD = $(PKI_LIBS)
tests_fuzz_fuzz_cms_decrypt_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_cms_verify_SOURCES = %D%/fuzz_cms_verify.c $(FUZZ_MAIN)
tests_fuzz_fuzz_cms_verify_LDADD = $(PKI_LIBS)
tests_fuzz_fuzz_cms_verify_LDFLAGS = $(FUZZ_LINK)
