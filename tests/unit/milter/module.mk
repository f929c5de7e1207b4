# unit tests of the layer milter: they link it and what is below

include %D%/mime.mk
check_PROGRAMS += tests/unit/milter/test_session tests/unit/milter/test_status
tests_unit_milter_test_session_SOURCES = %D%/test_session.c
tests_unit_milter_test_session_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_status_SOURCES = %D%/test_status.c
tests_unit_milter_test_status_LDADD = $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_decide_all tests/unit/milter/test_decide \
	tests/unit/milter/test_groups tests/unit/milter/test_reasons
tests_unit_milter_test_decide_SOURCES = %D%/test_decide.c %D%/reasons_seen.h
tests_unit_milter_test_decide_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_groups_SOURCES = %D%/test_groups.c %D%/reasons_seen.h
tests_unit_milter_test_groups_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_reasons_SOURCES = %D%/test_reasons.c
tests_unit_milter_test_reasons_LDADD = $(MAIL_LIBS)
# Counts what the other tests have left behind.
EXTRA_DIST += %D%/reasons_produced.sh
tests/unit/milter/reasons_produced.log: tests/unit/milter/test_decide.log \
	tests/unit/milter/test_groups.log
clean-local: clean-reasons-seen
clean-reasons-seen:
	rm -rf tests/reasons-seen
tests_unit_milter_test_decide_all_SOURCES = %D%/test_decide_all.c
tests_unit_milter_test_decide_all_LDADD = $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_outbound
tests_unit_milter_test_outbound_SOURCES = %D%/test_outbound.c tests/unit/pki/cms_fixture.c \
	tests/unit/pki/cms_fixture.h
tests_unit_milter_test_outbound_LDADD = $(MAIL_LIBS)
