include %D%/http/module.mk
include %D%/api/module.mk
include %D%/jobs/module.mk
include %D%/cli/module.mk

libadmin_a_SOURCES +=
