include %D%/message/module.mk
include %D%/mime/module.mk
include %D%/policy/module.mk

libmail_a_SOURCES += %D%/envelope.c %D%/envelope.h %D%/mta.h %D%/session.c %D%/session.h \
	%D%/process.c %D%/process.h %D%/copies.c %D%/copies.h \
	%D%/in_place.c %D%/in_place.h %D%/apart.c %D%/apart.h %D%/outbound.c %D%/outbound.h %D%/report.c %D%/report.h \
	%D%/status.c %D%/status.h %D%/structure.c %D%/structure.h %D%/notify.c %D%/notify.h \
	%D%/foreign.c %D%/foreign.h \
	%D%/harvesting.c %D%/harvesting.h
libmail_a_SOURCES += %D%/inbound.c %D%/inbound.h %D%/results.c %D%/results.h %D%/failures.c \
	%D%/failures.h
libmail_a_SOURCES += %D%/file_message.c %D%/file_message.h %D%/file_reading.c \
	%D%/reading.c %D%/reading.h %D%/reading_headers.c %D%/reading_parts.c \
	%D%/reading_rows.c %D%/reading_rows.h %D%/reading_sealed.c %D%/reading_signed.c \
	%D%/reading_signers.c %D%/reading_walk.h
libmail_a_SOURCES += %D%/acme_mail.c %D%/acme_mail.h %D%/dkim.c %D%/dkim.h
libmail_a_SOURCES += %D%/learning.c %D%/learning.h %D%/answering.c %D%/answering.h
libmail_a_SOURCES += %D%/gateway.c %D%/gateway.h %D%/service.c %D%/service.h \
	%D%/explain.c %D%/explain.h

libmail_a_SOURCES += %D%/copy_key.c %D%/copy_key.h %D%/delivery.c %D%/delivery.h %D%/marker.c %D%/marker.h %D%/notice.c %D%/notice.h \
	%D%/parcel.c %D%/parcel.h %D%/split.c %D%/split.h %D%/split_journey.c %D%/split_journey.h %D%/split_memory.c %D%/split_memory.h \
	%D%/split_report.c %D%/split_report.h

sbin_PROGRAMS += postseal-milter
postseal_milter_SOURCES = %D%/main.c %D%/libmilter_glue.c %D%/libmilter_glue.h
postseal_milter_LDADD = $(MAIL_LIBS) $(MILTER_LIBS)
