# messages and MIME
FUZZ_TARGETS += \
	tests/fuzz/fuzz_authres \
	tests/fuzz/fuzz_edits \
	tests/fuzz/fuzz_defuse \
	tests/fuzz/fuzz_gadget \
	tests/fuzz/fuzz_headers \
	tests/fuzz/fuzz_protected \
	tests/fuzz/fuzz_reading \
	tests/fuzz/fuzz_scan \
	tests/fuzz/fuzz_session \
	tests/fuzz/fuzz_subject
tests_fuzz_fuzz_authres_SOURCES = %D%/fuzz_authres.c $(FUZZ_MAIN)
tests_fuzz_fuzz_authres_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_authres_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_headers_SOURCES = %D%/fuzz_headers.c $(FUZZ_MAIN)
tests_fuzz_fuzz_headers_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_headers_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_protected_SOURCES = %D%/fuzz_protected.c $(FUZZ_MAIN)
tests_fuzz_fuzz_protected_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_protected_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_scan_SOURCES = %D%/fuzz_scan.c $(FUZZ_MAIN)
tests_fuzz_fuzz_scan_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_scan_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_subject_SOURCES = %D%/fuzz_subject.c $(FUZZ_MAIN)
tests_fuzz_fuzz_subject_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_subject_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_session_SOURCES = %D%/fuzz_session.c $(FUZZ_MAIN)
tests_fuzz_fuzz_session_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_session_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_edits_SOURCES = %D%/fuzz_edits.c $(FUZZ_MAIN)
tests_fuzz_fuzz_edits_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_edits_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_defuse_SOURCES = %D%/fuzz_defuse.c $(FUZZ_MAIN)
tests_fuzz_fuzz_defuse_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_defuse_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_gadget_SOURCES = %D%/fuzz_gadget.c $(FUZZ_MAIN)
tests_fuzz_fuzz_gadget_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_gadget_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_reading_SOURCES = %D%/fuzz_reading.c $(FUZZ_MAIN) \
	tests/unit/pki/cms_fixture.c tests/unit/pki/cms_fixture.h
tests_fuzz_fuzz_reading_LDADD = $(MAIL_LIBS)
tests_fuzz_fuzz_reading_LDFLAGS = $(FUZZ_LINK)
