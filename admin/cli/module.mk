libadmin_a_SOURCES += \
	%D%/command_line.c %D%/command_line.h %D%/completion.c %D%/completion.h %D%/help.c %D%/help.h %D%/output.c %D%/output.h \
	%D%/output_cell.c %D%/output_cell.h %D%/output_list.c %D%/output_list.h \
	%D%/cert_names.c %D%/cert_names.h %D%/upload.c %D%/upload.h %D%/client.c %D%/client.h %D%/run.c %D%/run.h %D%/run_files.c %D%/run_internal.h %D%/upload_pieces.c %D%/upload_pieces.h \
	%D%/file_commands.c %D%/file_commands.h %D%/file_pieces.h %D%/explain_text.c %D%/explain_text.h \
	%D%/message_commands.c %D%/message_commands.h
libadmin_a_SOURCES += %D%/bulk_wait.c %D%/bulk_wait.h %D%/fetch_wait.c %D%/fetch_wait.h

bin_PROGRAMS += postseal
postseal_SOURCES = %D%/main.c
postseal_LDADD = $(ADMIN_LIBS)
