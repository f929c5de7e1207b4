libstore_a_SOURCES += %D%/query.h %D%/tx.h %D%/db.h %D%/changelog.h %D%/migrate.h \
	%D%/embedded.h %D%/dump.h
