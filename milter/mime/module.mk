libmail_a_SOURCES += \
	%D%/author.h \
	%D%/canonical.h \
	%D%/detect.h \
	%D%/ours.h \
	%D%/scan.h \
	%D%/subject.h \
	%D%/verdict.h \
	%D%/wrap.h
