# messages and MIME
check_PROGRAMS += \
	tests/unit/milter/test_author \
	tests/unit/milter/test_canonical \
	tests/unit/milter/test_detect \
	tests/unit/milter/test_file_message \
	tests/unit/milter/test_reading \
	tests/unit/milter/test_reading_limits \
	tests/unit/milter/test_reading_lines \
	tests/unit/milter/test_defuse \
	tests/unit/milter/test_gadget \
	tests/unit/milter/test_headers \
	tests/unit/milter/test_protect \
	tests/unit/milter/test_protected \
	tests/unit/milter/test_reading_headers \
	tests/unit/milter/test_returned \
	tests/unit/milter/test_scan \
	tests/unit/milter/test_shown \
	tests/unit/milter/test_spool \
	tests/unit/milter/test_subject
tests_unit_milter_test_author_SOURCES = %D%/test_author.c %D%/mime_sample.h
tests_unit_milter_test_author_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_canonical_SOURCES = %D%/test_canonical.c %D%/mime_sample.h
tests_unit_milter_test_canonical_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_detect_SOURCES = %D%/test_detect.c %D%/mime_sample.h
tests_unit_milter_test_detect_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_file_message_SOURCES = %D%/test_file_message.c
tests_unit_milter_test_file_message_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_reading_SOURCES = %D%/test_reading.c %D%/reading_fixture.c \
	%D%/reading_fixture.h
tests_unit_milter_test_reading_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_reading_limits_SOURCES = %D%/test_reading_limits.c \
	%D%/reading_fixture.c %D%/reading_fixture.h
tests_unit_milter_test_reading_limits_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_reading_lines_SOURCES = %D%/test_reading_lines.c \
	%D%/reading_fixture.c %D%/reading_fixture.h
tests_unit_milter_test_reading_lines_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_reading_headers_SOURCES = %D%/test_reading_headers.c %D%/reading_fixture.c \
	%D%/reading_fixture.h
tests_unit_milter_test_reading_headers_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_gadget_SOURCES = %D%/test_gadget.c %D%/reading_fixture.c \
	%D%/reading_fixture.h
tests_unit_milter_test_gadget_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_defuse_SOURCES = %D%/test_defuse.c
tests_unit_milter_test_defuse_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_headers_SOURCES = %D%/test_headers.c
tests_unit_milter_test_headers_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_protect_SOURCES = %D%/test_protect.c %D%/mime_sample.h
tests_unit_milter_test_protect_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_protected_SOURCES = %D%/test_protected.c %D%/mime_sample.h
tests_unit_milter_test_protected_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_returned_SOURCES = %D%/test_returned.c %D%/mime_sample.h
tests_unit_milter_test_returned_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_scan_SOURCES = %D%/test_scan.c %D%/mime_sample.h
tests_unit_milter_test_scan_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_spool_SOURCES = %D%/test_spool.c
tests_unit_milter_test_spool_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_subject_SOURCES = %D%/test_subject.c
tests_unit_milter_test_subject_LDADD = $(MAIL_LIBS)
tests_unit_milter_test_shown_SOURCES = %D%/test_shown.c %D%/mime_sample.h
tests_unit_milter_test_shown_LDADD = $(MAIL_LIBS)
