libstore_a_SOURCES += %D%/query.h %D%/params.c %D%/rows.c %D%/tx.c %D%/tx.h %D%/copy.c %D%/copy.h \
	%D%/connection.c %D%/pool.c %D%/db.c %D%/db.h %D%/internal.h \
	%D%/changelog.c %D%/changelog.h %D%/migrate.c %D%/migrate.h \
	%D%/embedded.c %D%/embedded.h %D%/embedded_internal.h %D%/embedded_program.c \
	%D%/embedded_exec.c %D%/embedded_upgrade.c %D%/dump.c %D%/dump.h
libstore_a_SOURCES += %D%/change_tags.c %D%/change_tags.h
