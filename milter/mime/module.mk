libmail_a_SOURCES += \
	%D%/author.c %D%/author.h \
	%D%/canonical.c %D%/canonical.h \
	%D%/compose.c %D%/compose.h \
	%D%/content_type.c %D%/content_type.h \
	%D%/cross_check.c \
	%D%/detect.c %D%/detect.h \
	%D%/defuse.c %D%/defuse.h %D%/defuse_text.c %D%/defuse_text.h \
	%D%/entity.c %D%/entity.h \
	%D%/display_text.c %D%/display_text.h \
	%D%/encoded_word.c %D%/encoded_word.h \
	%D%/frame.c %D%/frame.h \
	%D%/gadget.c %D%/gadget.h \
	%D%/leaf.c %D%/leaf.h \
	%D%/legacy_display.c %D%/legacy_display.h \
	%D%/ours.c %D%/ours.h \
	%D%/part_header.c %D%/part_header.h \
	%D%/protect.c %D%/protect.h \
	%D%/protected.c %D%/protected.h \
	%D%/seen_values.c %D%/seen_values.h \
	%D%/quoted_printable.c %D%/quoted_printable.h \
	%D%/returned.c %D%/returned.h \
	%D%/scan.c %D%/scan.h \
	%D%/shown.c %D%/shown.h \
	%D%/spool_stream.c %D%/spool_stream.h \
	%D%/subject.c %D%/subject.h \
	%D%/survey.c %D%/survey.h \
	%D%/type_edit.c %D%/type_edit.h \
	%D%/verdict.c %D%/verdict.h \
	%D%/wrap.c %D%/wrap.h
