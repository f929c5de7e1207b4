# the decision: facts, plans, groups
libmail_a_SOURCES += %D%/facts.h %D%/decide.c %D%/decide.h %D%/rows.def %D%/groups.c %D%/groups.h \
	%D%/reply.c %D%/reply.h %D%/describe.c %D%/describe.h %D%/gather.h %D%/ruling.h
