libadmin_a_SOURCES += \
	%D%/operation.c %D%/operation.h %D%/operations.def \
	%D%/arguments.c %D%/arguments.h %D%/call.c %D%/call.h %D%/change.c %D%/change.h \
	%D%/dispatch.c %D%/dispatch.h %D%/handlers.c %D%/handlers.h \
	%D%/json_memory.c %D%/json_memory.h %D%/local_operation.c %D%/local_operation.h \
	%D%/paging.c %D%/paging.h %D%/scope_argument.c %D%/scope_argument.h \
	%D%/cert_text.c %D%/cert_text.h %D%/importing.c %D%/importing.h \
	%D%/authorities.c %D%/certs.c %D%/configs.c %D%/databases.c \
	%D%/doctor.c %D%/doctor.h %D%/doctor_files.c %D%/doctor_mta.c %D%/doctor_store.c \
	%D%/explains.c %D%/keys.c %D%/milter_status.c %D%/milter_status.h \
	%D%/preference_sets.c %D%/records.c %D%/requests.c %D%/revocation_lists.c \
	%D%/roots.c %D%/rotation.c %D%/selects.c %D%/selftest.c %D%/setting_up.c \
	%D%/status.c %D%/temporary_server.c %D%/temporary_server.h %D%/trust_list.c
