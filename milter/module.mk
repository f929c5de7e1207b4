include %D%/message/module.mk
include %D%/mime/module.mk
include %D%/policy/module.mk

libmail_a_SOURCES += %D%/envelope.c %D%/envelope.h %D%/mta.h %D%/session.c %D%/session.h \
	%D%/process.h %D%/outbound.h %D%/report.h %D%/status.c %D%/status.h
libmail_a_SOURCES += %D%/file_message.h
libmail_a_SOURCES += %D%/gateway.h %D%/explain.h
