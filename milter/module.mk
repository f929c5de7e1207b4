include %D%/message/module.mk
include %D%/mime/module.mk
include %D%/policy/module.mk

libmail_a_SOURCES +=
