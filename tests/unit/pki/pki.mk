# Tests of certificates, trust and selection.
CERT_FIXTURE = %D%/cert_fixture.c %D%/cert_fixture.h
check_PROGRAMS += tests/unit/pki/test_cert tests/unit/pki/test_seal
tests_unit_pki_test_cert_SOURCES = %D%/test_cert.c $(CERT_FIXTURE)
tests_unit_pki_test_cert_LDADD = $(PKI_LIBS)
tests_unit_pki_test_seal_SOURCES = %D%/test_seal.c
tests_unit_pki_test_seal_LDADD = $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_bundle
tests_unit_pki_test_bundle_SOURCES = %D%/test_bundle.c $(CERT_FIXTURE)
tests_unit_pki_test_bundle_LDADD = $(PKI_LIBS)
STORE_FIXTURE = $(CERT_FIXTURE) %D%/store_fixture.c %D%/store_fixture.h
check_PROGRAMS += tests/unit/pki/test_trust
tests_unit_pki_test_trust_SOURCES = %D%/test_trust.c $(STORE_FIXTURE)
tests_unit_pki_test_trust_LDADD = $(TEST_LIBS) $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_select
tests_unit_pki_test_select_SOURCES = %D%/test_select.c $(STORE_FIXTURE)
tests_unit_pki_test_select_LDADD = $(TEST_LIBS) $(PKI_LIBS)
