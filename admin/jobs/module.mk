libadmin_a_SOURCES += %D%/scheduler.c %D%/scheduler.h %D%/runners.c
