# Tests of what leaves this host.
check_PROGRAMS += tests/unit/pki/test_address_guard tests/unit/pki/test_url
tests_unit_pki_test_address_guard_SOURCES = %D%/test_address_guard.c
tests_unit_pki_test_address_guard_LDADD = $(PKI_LIBS)
tests_unit_pki_test_url_SOURCES = %D%/test_url.c
tests_unit_pki_test_url_LDADD = $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_crl_refresh
tests_unit_pki_test_crl_refresh_SOURCES = %D%/test_crl_refresh.c %D%/cert_fixture.c %D%/cert_fixture.h \
	%D%/store_fixture.c %D%/store_fixture.h
tests_unit_pki_test_crl_refresh_LDADD = $(TEST_LIBS) $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_http
tests_unit_pki_test_http_SOURCES = %D%/test_http.c
tests_unit_pki_test_http_LDADD = $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_smtp
tests_unit_pki_test_smtp_SOURCES = %D%/test_smtp.c
tests_unit_pki_test_smtp_LDADD = $(TEST_LIBS) $(PKI_LIBS)
