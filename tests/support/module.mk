# What several test programs share. A test that uses it: ..._LDADD = $(TEST_LIBS) $(PKI_LIBS)

check_LIBRARIES += libtestsupport.a
TEST_LIBS = libtestsupport.a
libtestsupport_a_SOURCES = %D%/scratch_pg.c %D%/scratch_pg.h %D%/row_difference.c %D%/row_difference.h \
	%D%/cert_difference.c %D%/cert_difference.h
libtestsupport_a_SOURCES += %D%/smtp_server.c %D%/smtp_server.h
EXTRA_DIST += %D%/tsan_glib.h
libtestsupport_a_SOURCES += %D%/cmp_server.c %D%/cmp_server.h
