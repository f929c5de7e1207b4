include %D%/base/module.mk
include %D%/config/module.mk
include %D%/db/module.mk
include %D%/schema/module.mk

libstore_a_SOURCES +=
