libadmin_a_SOURCES += \
	%D%/server.c %D%/server.h %D%/router.c %D%/router.h %D%/peer.c %D%/peer.h \
	%D%/public.c %D%/public.h %D%/public_server.c %D%/public_server.h \
	%D%/public_answer.c %D%/public_socket.c %D%/public_internal.h \
	%D%/public_files.c %D%/public_ocsp.c %D%/public_page.c %D%/public_private.h
libadmin_a_SOURCES += %D%/public_acme.c
