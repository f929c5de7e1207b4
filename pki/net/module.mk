libpki_a_SOURCES += %D%/http.c %D%/http.h %D%/http_exchange.c %D%/http_exchange.h %D%/http_values.c %D%/http_values.h
libpki_a_SOURCES += %D%/ldap.c %D%/ldap.h %D%/ldap_internal.h %D%/ldap_target.c %D%/ldap_write.c %D%/ldap_write.h
libpki_a_SOURCES += %D%/address_connect.c %D%/address_guard.c %D%/address_guard.h %D%/fetch.c %D%/fetch.h %D%/url.c %D%/url.h
libpki_a_SOURCES += %D%/smtp.c %D%/smtp.h %D%/smtp_address.c %D%/smtp_command.c %D%/smtp_internal.h %D%/smtp_reply.c %D%/smtp_reply.h
libpki_a_SOURCES += %D%/dns_txt.c %D%/dns_txt.h
