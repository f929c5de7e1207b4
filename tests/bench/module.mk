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
