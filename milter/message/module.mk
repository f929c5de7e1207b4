libmail_a_SOURCES += \
	%D%/edits.h \
	%D%/headers.h \
	%D%/spool.h
