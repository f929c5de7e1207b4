# the decision: facts, plans, groups
libmail_a_SOURCES += %D%/choices.h %D%/facts.h %D%/decide.c %D%/decide.h %D%/decide_inbound.c %D%/decide_inbound.h %D%/rows.def %D%/groups.c %D%/groups.h \
	%D%/reply.c %D%/reply.h %D%/describe.c %D%/describe.h %D%/origin.c %D%/origin.h \
	%D%/side.c %D%/side.h %D%/author_check.c %D%/author_check.h \
	%D%/triggers.c %D%/triggers.h %D%/gather.c %D%/gather.h %D%/gather_recipient.c %D%/gather_author.c %D%/gather_ahead.c %D%/gather_directory.c %D%/gather_inbound.c \
	%D%/inbound_keys.c %D%/inbound_keys.h %D%/inbound_trust.c %D%/inbound_trust.h %D%/inbound_same.c %D%/inbound_same.h %D%/inbound_summary.c %D%/inbound_summary.h %D%/inbound_tags.c %D%/inbound_tags.h \
	%D%/gathering.h %D%/ruling.c %D%/ruling.h
