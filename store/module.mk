include %D%/base/module.mk
include %D%/config/module.mk
include %D%/db/module.mk
include %D%/schema/module.mk

libstore_a_SOURCES += \
	%D%/audit.h %D%/cas.h %D%/certs.h %D%/crls.h %D%/ctl.h %D%/jobs.h %D%/keys.h %D%/posts.h \
	%D%/preferences.def %D%/preferences.h %D%/presets.h %D%/requests.h %D%/roots.h %D%/scopes.h \
	%D%/sealed.h %D%/selections.h
