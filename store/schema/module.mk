# Migrations are compiled in. A new one is a file NNNN_name.sql in this list; what has landed
# is never changed.
SCHEMA_FILES = %D%/0001_certificates.sql %D%/0002_gateway.sql %D%/0003_audit.sql \
	%D%/0004_access.sql %D%/0005_aliases.sql \
	%D%/0006_external_root.sql %D%/0007_filter_limits.sql %D%/0008_changes.sql \
	%D%/0009_crl_store.sql \
	%D%/0010_fetches.sql \
	%D%/0011_ocsp.sql \
	%D%/0012_directories.sql \
	%D%/0013_bulk.sql \
	%D%/0014_search.sql \
	%D%/0015_harvest_use.sql \
	%D%/0016_ledger.sql \
	%D%/0017_outbound.sql \
	%D%/0018_jobs.sql \
	%D%/0019_ca.sql \
	%D%/0020_enroll.sql \
	%D%/0021_outbox.sql \
	%D%/0022_bulk.sql \
	%D%/0023_public.sql \
	%D%/0024_acme.sql \
	%D%/0025_ocsp_ahead.sql \
	%D%/0026_acme_life.sql \
	%D%/0027_key_pool.sql

EXTRA_DIST += $(SCHEMA_FILES) %D%/generate.awk
nodist_libstore_a_SOURCES = store/schema/migrations.c
CLEANFILES += store/schema/migrations.c
store/schema/migrations.c: $(SCHEMA_FILES) %D%/generate.awk store/schema/module.mk
	$(AM_V_GEN)$(MKDIR_P) store/schema && LC_ALL=C $(AWK) -f $(srcdir)/%D%/generate.awk \
		$(SCHEMA_FILES:%=$(srcdir)/%) </dev/null >$@.tmp && mv $@.tmp $@
