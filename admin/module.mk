include %D%/mail/module.mk
include %D%/http/module.mk
include %D%/api/module.mk
include %D%/jobs/module.mk
include %D%/cli/module.mk

sbin_PROGRAMS += postseald
postseald_SOURCES = %D%/main.c
postseald_LDADD = $(ADMIN_LIBS)
