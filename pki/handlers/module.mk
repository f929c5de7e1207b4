# sources of this folder
libpki_a_SOURCES += %D%/handler.h %D%/config.h
libpki_a_SOURCES += %D%/builtin.c %D%/handlers.c
libpki_a_SOURCES += %D%/peer.c %D%/peer.h
libpki_a_SOURCES += %D%/config.c %D%/config_set.c %D%/config_values.c %D%/config_values.h
libpki_a_SOURCES += %D%/cmp.c %D%/cmp_failure.c %D%/cmp_failure.h %D%/held.c %D%/held.h
