# Tests of path validation.
CHAIN_MAKER = %D%/chain_maker.c %D%/chain_maker.h
check_PROGRAMS += tests/unit/pki/test_paths
tests_unit_pki_test_paths_SOURCES = %D%/test_paths.c $(CHAIN_MAKER)
tests_unit_pki_test_paths_LDADD = $(PKI_LIBS)
