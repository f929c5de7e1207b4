# make check: unit tests (TAP), lints, replay of the fuzz targets. tests/run does the rest.

TEST_EXTENSIONS = .sh
LOG_DRIVER = env AM_TAP_AWK=$(AWK) $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = $(SHELL) $(top_srcdir)/tests/support/tap-run
SH_LOG_DRIVER = $(LOG_DRIVER)
SH_LOG_COMPILER = $(SHELL)
AM_TESTS_ENVIRONMENT = top_srcdir='$(top_srcdir)' top_builddir='$(top_builddir)'; \
	G_SLICE=always-malloc; export top_srcdir top_builddir G_SLICE;
EXTRA_DIST += %D%/run %D%/support/tap-run

# The MTA's side of the milter protocol: for tests, scripts and the bench.
noinst_LIBRARIES += tests/support/libmilterclient.a
tests_support_libmilterclient_a_SOURCES = %D%/support/milter_client.c %D%/support/milter_client.h \
	%D%/support/milter_client_internal.h %D%/support/milter_message.c
MILTER_CLIENT_LIBS = tests/support/libmilterclient.a $(STORE_LIBS)
noinst_PROGRAMS += tests/support/milter_send
tests_support_milter_send_SOURCES = %D%/support/milter_send.c
tests_support_milter_send_LDADD = $(MILTER_CLIENT_LIBS)
noinst_PROGRAMS += tests/support/milter_monkey
tests_support_milter_monkey_SOURCES = %D%/support/milter_monkey.c
tests_support_milter_monkey_LDADD = $(STORE_LIBS)
# A CA that speaks CMP, for tests/fakes/cmp.py.
noinst_PROGRAMS += tests/support/cmp_issuer
tests_support_cmp_issuer_SOURCES = %D%/support/cmp_issuer.c %D%/support/cmp_server.c
tests_support_cmp_issuer_LDADD = $(PKI_LIBS)
TESTS += $(check_PROGRAMS) $(dist_check_SCRIPTS)
# What takes longest begins first: two minutes under sanitizers, beside all the others.
check_PROGRAMS += tests/unit/milter/test_decide_all

include %D%/support/module.mk
include %D%/unit/store/module.mk
include %D%/unit/pki/module.mk
include %D%/unit/milter/module.mk
include %D%/unit/admin/module.mk
include %D%/fuzz/module.mk
include %D%/bench/module.mk
include %D%/lint/module.mk
include %D%/e2e/module.mk
include %D%/fakes/module.mk
