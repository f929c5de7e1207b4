libadmin_a_SOURCES += \
	%D%/server.c %D%/server.h %D%/router.c %D%/router.h %D%/peer.c %D%/peer.h
