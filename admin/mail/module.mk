libadmin_a_SOURCES += %D%/mailer.c %D%/mailer.h %D%/mail_compose.c %D%/mail_header.c %D%/mail_header.h \
	%D%/template.c %D%/template.h %D%/template_texts.c
