libpki_a_SOURCES += %D%/http.c %D%/http.h %D%/ldap.h
