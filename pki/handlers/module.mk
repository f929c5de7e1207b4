# sources of this folder
libpki_a_SOURCES += %D%/handler.h
