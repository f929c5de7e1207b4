# unit tests of milter/policy

# test_decide_all: tests/module.mk names it
check_PROGRAMS += tests/unit/milter/test_decide \
	tests/unit/milter/test_groups tests/unit/milter/test_reasons tests/unit/milter/test_origin
tests_unit_milter_test_decide_SOURCES = %D%/test_decide.c %D%/reasons_seen.h
tests_unit_milter_test_decide_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_groups_SOURCES = %D%/test_groups.c %D%/reasons_seen.h
tests_unit_milter_test_groups_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_reasons_SOURCES = %D%/test_reasons.c
tests_unit_milter_test_reasons_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_decide_all_SOURCES = %D%/test_decide_all.c
tests_unit_milter_test_decide_all_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_origin_SOURCES = %D%/test_origin.c
tests_unit_milter_test_origin_LDADD = $(MAIL_LIBS)

# Counts what the other tests have left behind.
dist_check_SCRIPTS += %D%/reasons_produced.sh
tests/unit/milter/reasons_produced.log: tests/unit/milter/test_decide.log \
	tests/unit/milter/test_groups.log tests/unit/milter/test_gather.log \
	tests/unit/milter/test_process.log tests/unit/milter/test_split.log \
	tests/unit/milter/test_split_answers.log \
	tests/unit/milter/test_decide_inbound.log
clean-local: clean-reasons-seen
clean-reasons-seen:
	rm -rf tests/reasons-seen
check_PROGRAMS += tests/unit/milter/test_gather_directory
tests_unit_milter_test_gather_directory_SOURCES = %D%/test_gather_directory.c %D%/site_fixture.c \
	%D%/site_fixture.h %D%/reasons_seen.h
tests_unit_milter_test_gather_directory_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_gather
tests_unit_milter_test_gather_SOURCES = %D%/test_gather.c %D%/site_fixture.c %D%/site_fixture.h \
	%D%/reasons_seen.h
tests_unit_milter_test_gather_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_decide_inbound tests/unit/milter/test_gather_inbound \
	tests/unit/milter/test_failures tests/unit/milter/test_results
tests_unit_milter_test_decide_inbound_SOURCES = %D%/test_decide_inbound.c %D%/reasons_seen.h
tests_unit_milter_test_decide_inbound_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_gather_inbound_SOURCES = %D%/test_gather_inbound.c %D%/site_fixture.c \
	%D%/site_fixture.h
tests_unit_milter_test_gather_inbound_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
tests_unit_milter_test_failures_SOURCES = %D%/test_failures.c
tests_unit_milter_test_failures_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_results_SOURCES = %D%/test_results.c
tests_unit_milter_test_results_LDADD = $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_gather_author
tests_unit_milter_test_gather_author_SOURCES = %D%/test_gather_author.c %D%/site_fixture.c \
	%D%/site_fixture.h %D%/reasons_seen.h
tests_unit_milter_test_gather_author_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
