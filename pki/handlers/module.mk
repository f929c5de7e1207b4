# sources of this folder
libpki_a_SOURCES += %D%/handler.h
libpki_a_SOURCES += %D%/builtin.c %D%/handlers.c
