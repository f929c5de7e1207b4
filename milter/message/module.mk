libmail_a_SOURCES += \
	%D%/edits.c %D%/edits.h \
	%D%/headers.c %D%/headers.h \
	%D%/line_ends.c %D%/line_ends.h \
	%D%/spool.c %D%/spool.h \
	%D%/spool_store.c %D%/spool_store.h
