include %D%/http/module.mk
include %D%/api/module.mk
include %D%/jobs/module.mk
include %D%/cli/module.mk

EXTRA_DIST += %D%/main.c
