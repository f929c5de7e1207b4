libadmin_a_SOURCES += %D%/server.h %D%/router.h %D%/peer.h
