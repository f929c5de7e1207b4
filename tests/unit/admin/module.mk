# unit tests of the layer admin: they link it and what is below
check_PROGRAMS += tests/unit/admin/test_completion
tests_unit_admin_test_completion_SOURCES = %D%/test_completion.c
tests_unit_admin_test_completion_LDADD = $(ADMIN_LIBS)
check_PROGRAMS += tests/unit/admin/test_operations tests/unit/admin/test_command_line \
	tests/unit/admin/test_output tests/unit/admin/test_http tests/unit/admin/test_change
tests_unit_admin_test_operations_SOURCES = %D%/test_operations.c
tests_unit_admin_test_operations_LDADD = $(ADMIN_LIBS)
tests_unit_admin_test_command_line_SOURCES = %D%/test_command_line.c
tests_unit_admin_test_command_line_LDADD = $(ADMIN_LIBS)
tests_unit_admin_test_output_SOURCES = %D%/test_output.c
tests_unit_admin_test_output_LDADD = $(ADMIN_LIBS)
tests_unit_admin_test_http_SOURCES = %D%/test_http.c
tests_unit_admin_test_http_LDADD = $(ADMIN_LIBS)
tests_unit_admin_test_change_SOURCES = %D%/test_change.c
tests_unit_admin_test_change_LDADD = $(TEST_LIBS) $(ADMIN_LIBS)
check_PROGRAMS += tests/unit/admin/test_mail
tests_unit_admin_test_mail_SOURCES = %D%/test_mail.c
tests_unit_admin_test_mail_LDADD = $(ADMIN_LIBS)
