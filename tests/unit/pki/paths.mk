# Tests of path validation.
CHAIN_MAKER = %D%/chain_maker.c %D%/chain_maker.h
check_PROGRAMS += tests/unit/pki/test_paths
tests_unit_pki_test_paths_SOURCES = %D%/test_paths.c $(CHAIN_MAKER)
tests_unit_pki_test_paths_LDADD = $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_search
tests_unit_pki_test_search_SOURCES = %D%/test_search.c $(CHAIN_MAKER)
tests_unit_pki_test_search_LDADD = $(PKI_LIBS)
