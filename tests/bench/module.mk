# The bench: built with everything, run by tests/bench/run alone.
noinst_PROGRAMS += tests/bench/bench_cms tests/bench/bench_milter tests/bench/null_filter
tests_bench_bench_cms_SOURCES = %D%/bench_cms.c %D%/reference.c %D%/reference.h
tests_bench_bench_cms_LDADD = $(PKI_LIBS) -lm
tests_bench_null_filter_SOURCES = %D%/null_filter.c
tests_bench_null_filter_LDADD = $(MILTER_LIBS) $(GLIB_LIBS)
tests_bench_bench_milter_SOURCES = %D%/bench_milter.c
tests_bench_bench_milter_LDADD = $(MILTER_CLIENT_LIBS)
EXTRA_DIST += %D%/run
dist_check_SCRIPTS += tests/bench/test_tools.sh
noinst_PROGRAMS += tests/bench/bench_issue
tests_bench_bench_issue_SOURCES = %D%/bench_issue.c tests/unit/pki/pki_fixture.c tests/unit/pki/pki_fixture.h
tests_bench_bench_issue_LDADD = $(TEST_LIBS) $(PKI_LIBS)
noinst_PROGRAMS += tests/bench/bench_store
tests_bench_bench_store_SOURCES = %D%/bench_store.c %D%/bench_store.h %D%/bench_import.c %D%/bench_node.c %D%/bench_revocation.c \
	%D%/store_sample.c %D%/store_sample.h
tests_bench_bench_store_LDADD = $(TEST_LIBS) $(MAIL_LIBS) -lm
noinst_PROGRAMS += tests/bench/bench_crl
tests_bench_bench_crl_SOURCES = %D%/bench_crl.c tests/unit/pki/cert_fixture.c tests/unit/pki/cert_fixture.h \
	tests/unit/pki/store_fixture.c tests/unit/pki/store_fixture.h
tests_bench_bench_crl_LDADD = $(TEST_LIBS) $(PKI_LIBS)
noinst_PROGRAMS += tests/bench/bench_ocsp
tests_bench_bench_ocsp_SOURCES = %D%/bench_ocsp.c
tests_bench_bench_ocsp_LDADD = $(GLIB_LIBS) $(MICROHTTPD_LIBS)
EXTRA_DIST += %D%/ocsp
