libadmin_a_SOURCES += \
	%D%/operation.c %D%/operation.h %D%/operations.def %D%/call.h
