# unit tests of the layer milter: they link it and what is below

include %D%/mime.mk
include %D%/policy.mk
check_PROGRAMS += tests/unit/milter/test_session tests/unit/milter/test_status
tests_unit_milter_test_session_SOURCES = %D%/test_session.c
tests_unit_milter_test_session_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_status_SOURCES = %D%/test_status.c
tests_unit_milter_test_status_LDADD = $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_outbound
tests_unit_milter_test_outbound_SOURCES = %D%/test_outbound.c tests/unit/pki/cms_fixture.c \
	tests/unit/pki/cms_fixture.h
tests_unit_milter_test_outbound_LDADD = $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_notify
tests_unit_milter_test_notify_SOURCES = %D%/test_notify.c
tests_unit_milter_test_notify_LDADD = $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_process
tests_unit_milter_test_process_SOURCES = %D%/test_process.c %D%/reasons_seen.h
tests_unit_milter_test_process_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
COPIES_FIXTURE = %D%/copies_fixture.c %D%/copies_fixture.h
check_PROGRAMS += tests/unit/milter/test_marker_field tests/unit/milter/test_split tests/unit/milter/test_split_answers
tests_unit_milter_test_marker_field_SOURCES = %D%/test_marker_field.c $(COPIES_FIXTURE)
tests_unit_milter_test_marker_field_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
SPLIT_FIXTURE = %D%/split_fixture.c %D%/split_fixture.h $(COPIES_FIXTURE) %D%/reasons_seen.h
tests_unit_milter_test_split_SOURCES = %D%/test_split.c $(SPLIT_FIXTURE)
tests_unit_milter_test_split_answers_SOURCES = %D%/test_split_answers.c $(SPLIT_FIXTURE)
tests_unit_milter_test_split_answers_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
tests_unit_milter_test_split_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
check_PROGRAMS += tests/unit/milter/test_acme_mail
tests_unit_milter_test_acme_mail_SOURCES = %D%/test_acme_mail.c %D%/reasons_seen.h
tests_unit_milter_test_acme_mail_LDADD = $(TEST_LIBS) $(MAIL_LIBS)
