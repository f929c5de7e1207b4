# the decision: facts, plans, groups
libmail_a_SOURCES += %D%/facts.h %D%/decide.h %D%/rows.def %D%/groups.h %D%/reply.h %D%/gather.h \
	%D%/ruling.h
