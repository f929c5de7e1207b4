# Tests of what leaves this host.
check_PROGRAMS += tests/unit/pki/test_address_guard tests/unit/pki/test_url
tests_unit_pki_test_address_guard_SOURCES = %D%/test_address_guard.c
tests_unit_pki_test_address_guard_LDADD = $(PKI_LIBS)
tests_unit_pki_test_url_SOURCES = %D%/test_url.c
tests_unit_pki_test_url_LDADD = $(PKI_LIBS)
