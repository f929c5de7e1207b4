libstore_a_SOURCES += \
	%D%/error.c %D%/error.h \
	%D%/log.c %D%/log.h \
	%D%/background.c %D%/background.h \
	%D%/clock.c %D%/clock.h \
	%D%/mailaddr.c %D%/mailaddr.h \
	%D%/secret.c %D%/secret.h \
	%D%/printable.c %D%/printable.h \
	%D%/hex.c %D%/hex.h \
	%D%/holder.c %D%/holder.h \
	%D%/cleanup.h %D%/sink.h %D%/source.h %D%/buffer.c %D%/buffer.h %D%/nearest.c %D%/nearest.h \
	%D%/reason.c %D%/reason.h %D%/reasons.def
