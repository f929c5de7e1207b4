# unit tests of the layer store: they link it and what is below

check_PROGRAMS += tests/unit/store/test_scratch
tests_unit_store_test_scratch_SOURCES = %D%/test_scratch.c
tests_unit_store_test_scratch_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_settings
tests_unit_store_test_settings_SOURCES = %D%/test_settings.c
tests_unit_store_test_settings_LDADD = $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_query
tests_unit_store_test_query_SOURCES = %D%/test_query.c
tests_unit_store_test_query_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_tx
tests_unit_store_test_tx_SOURCES = %D%/test_tx.c
tests_unit_store_test_tx_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_changelog
tests_unit_store_test_changelog_SOURCES = %D%/test_changelog.c
tests_unit_store_test_changelog_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_cache
tests_unit_store_test_cache_SOURCES = %D%/test_cache.c
tests_unit_store_test_cache_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_migrate
tests_unit_store_test_migrate_SOURCES = %D%/test_migrate.c
tests_unit_store_test_migrate_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_dump
tests_unit_store_test_dump_SOURCES = %D%/test_dump.c
tests_unit_store_test_dump_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_embedded
tests_unit_store_test_embedded_SOURCES = %D%/test_embedded.c
tests_unit_store_test_embedded_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_lookups tests/unit/store/test_roles
tests_unit_store_test_lookups_SOURCES = %D%/test_lookups.c
tests_unit_store_test_lookups_LDADD = $(TEST_LIBS) $(STORE_LIBS)
tests_unit_store_test_roles_SOURCES = %D%/test_roles.c
tests_unit_store_test_roles_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_audit
tests_unit_store_test_audit_SOURCES = %D%/test_audit.c
tests_unit_store_test_audit_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_preferences
tests_unit_store_test_preferences_SOURCES = %D%/test_preferences.c
tests_unit_store_test_preferences_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_certs_search
tests_unit_store_test_certs_search_SOURCES = %D%/test_certs_search.c
tests_unit_store_test_certs_search_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_certs tests/unit/store/test_jobs
tests_unit_store_test_certs_SOURCES = %D%/test_certs.c
tests_unit_store_test_certs_LDADD = $(TEST_LIBS) $(STORE_LIBS)
tests_unit_store_test_jobs_SOURCES = %D%/test_jobs.c
tests_unit_store_test_jobs_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_ocsp_rows
tests_unit_store_test_ocsp_rows_SOURCES = %D%/test_ocsp_rows.c
tests_unit_store_test_ocsp_rows_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_mailaddr
tests_unit_store_test_mailaddr_SOURCES = %D%/test_mailaddr.c
tests_unit_store_test_mailaddr_LDADD = $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_holder
tests_unit_store_test_holder_SOURCES = %D%/test_holder.c
tests_unit_store_test_holder_LDADD = $(STORE_LIBS)
check_PROGRAMS += tests/unit/store/test_hex
tests_unit_store_test_hex_SOURCES = %D%/test_hex.c
tests_unit_store_test_hex_LDADD = $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_copy
tests_unit_store_test_copy_SOURCES = %D%/test_copy.c
tests_unit_store_test_copy_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_crls
tests_unit_store_test_crls_SOURCES = %D%/test_crls.c
tests_unit_store_test_crls_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_harvests
tests_unit_store_test_harvests_SOURCES = %D%/test_harvests.c
tests_unit_store_test_harvests_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_ledger
tests_unit_store_test_ledger_SOURCES = %D%/test_ledger.c
tests_unit_store_test_ledger_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_acme_mails
tests_unit_store_test_acme_mails_SOURCES = %D%/test_acme_mails.c
tests_unit_store_test_acme_mails_LDADD = $(TEST_LIBS) $(STORE_LIBS)
check_PROGRAMS += tests/unit/store/test_restored
tests_unit_store_test_restored_SOURCES = %D%/test_restored.c
tests_unit_store_test_restored_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_leftovers
tests_unit_store_test_leftovers_SOURCES = %D%/test_leftovers.c
tests_unit_store_test_leftovers_LDADD = $(TEST_LIBS) $(STORE_LIBS)

check_PROGRAMS += tests/unit/store/test_background
tests_unit_store_test_background_SOURCES = %D%/test_background.c
tests_unit_store_test_background_LDADD = $(STORE_LIBS)
