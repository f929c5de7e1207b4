# Fuzz targets of certificates, lists and files.
FUZZ_TARGETS += tests/fuzz/fuzz_cert tests/fuzz/fuzz_bundle tests/fuzz/fuzz_crl
tests_fuzz_fuzz_cert_SOURCES = %D%/fuzz_cert.c $(FUZZ_MAIN)
tests_fuzz_fuzz_cert_LDADD = $(PKI_LIBS)
tests_fuzz_fuzz_cert_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_bundle_SOURCES = %D%/fuzz_bundle.c $(FUZZ_MAIN)
tests_fuzz_fuzz_bundle_LDADD = $(PKI_LIBS)
tests_fuzz_fuzz_bundle_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_crl_SOURCES = %D%/fuzz_crl.c $(FUZZ_MAIN)
tests_fuzz_fuzz_crl_LDADD = $(PKI_LIBS)
tests_fuzz_fuzz_crl_LDFLAGS = $(FUZZ_LINK)
FUZZ_TARGETS += tests/fuzz/fuzz_cert_scan
tests_fuzz_fuzz_cert_scan_SOURCES = %D%/fuzz_cert_scan.c $(FUZZ_MAIN)
tests_fuzz_fuzz_cert_scan_LDADD = $(TEST_LIBS) $(PKI_LIBS)
tests_fuzz_fuzz_cert_scan_LDFLAGS = $(FUZZ_LINK)
