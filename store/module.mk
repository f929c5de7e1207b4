include %D%/base/module.mk
include %D%/config/module.mk
include %D%/db/module.mk
include %D%/schema/module.mk

libstore_a_SOURCES += \
	%D%/audit.h %D%/cas.h %D%/certs.h %D%/crls.h %D%/ctl.h %D%/fetches.h %D%/jobs.h %D%/keys.h %D%/ocsp.h %D%/posts.h \
	%D%/preferences.def %D%/preferences.h %D%/presets.h %D%/requests.h %D%/roots.h %D%/scopes.h \
	%D%/sealed.h %D%/selections.h
libstore_a_SOURCES += \
	%D%/audit.c %D%/audit_internal.h %D%/audit_writer.c %D%/ca_defaults.c %D%/cas.c %D%/certs.c %D%/certs_bulk.c \
	%D%/certs_internal.h %D%/certs_search.c \
	%D%/crls.c %D%/crl_entries.c %D%/crl_entries.h %D%/ctl.c %D%/harvests.c %D%/harvests.h %D%/jobs.c %D%/keys.c %D%/lookups.h %D%/ocsp.c %D%/posts.c \
	%D%/preference_internal.h %D%/preference_set.c %D%/preference_values.c %D%/preferences.c \
	%D%/presets.c %D%/requests.c %D%/roots.c %D%/scopes.c %D%/sealed.c %D%/selections.c
libstore_a_SOURCES += %D%/directories.c %D%/directories.h
libstore_a_SOURCES += %D%/bulk.c %D%/bulk.h %D%/bulk_issued.c %D%/bulk_issued.h %D%/bulk_rivals.c %D%/bulk_rivals.h %D%/ready_keys.c %D%/ready_keys.h
libstore_a_SOURCES += %D%/ca_issuing.c %D%/ca_issuing.h %D%/ca_lists.c %D%/ca_lists.h \
	%D%/ca_organisation_id.c %D%/ca_organisation_id.h %D%/ca_roots.c %D%/cas_internal.h \
	%D%/renewals.c %D%/renewals.h %D%/ca_revocations.c %D%/ca_revocations.h
libstore_a_SOURCES += %D%/candidates.c %D%/candidates.h
libstore_a_SOURCES += %D%/cache.c %D%/cache.h %D%/preference_tags.h %D%/scope_rows.c %D%/scope_rows.h
libstore_a_SOURCES += %D%/fetches.c %D%/fetch_points.c %D%/fetch_points.h
libstore_a_SOURCES += %D%/capabilities.c %D%/capabilities.h %D%/answers.c %D%/answers.h
libstore_a_SOURCES += %D%/ledger.c %D%/ledger.h
libstore_a_SOURCES += %D%/acme_mails.c %D%/acme_mails.h %D%/acme_orders.c %D%/acme_orders.h
libstore_a_SOURCES += %D%/handler_settings.c %D%/handler_settings.h
libstore_a_SOURCES += %D%/templates.c %D%/templates.h
libstore_a_SOURCES += %D%/outbox.c %D%/outbox.h %D%/outbox_internal.h %D%/outbox_work.c %D%/outbox_work.h
libstore_a_SOURCES += %D%/request_events.c %D%/requests_work.c %D%/requests_work.h
libstore_a_SOURCES += %D%/request_handles.c %D%/request_handles.h
libstore_a_SOURCES += %D%/ocsp_answers.c %D%/ocsp_answers.h %D%/ocsp_responders.c \
	%D%/publications.c %D%/publications.h %D%/publish_targets.c %D%/publish_targets.h
libstore_a_SOURCES += %D%/revocation_orders.c %D%/revocation_orders.h
libstore_a_SOURCES += %D%/leftovers.c %D%/leftovers.h
libstore_a_SOURCES += %D%/acme_next.c %D%/acme_next.h
libstore_a_SOURCES += %D%/restored.c %D%/restored.h

# The manual page of the preferences is printed from their table at build time.
noinst_PROGRAMS += store/preferences_gen
store_preferences_gen_SOURCES = %D%/preferences_gen.c
nodist_man_MANS += doc/man/postseal-preferences.7
CLEANFILES += doc/man/postseal-preferences.7
doc/man/postseal-preferences.7: store/preferences_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) doc/man && store/preferences_gen$(EXEEXT) >$@.tmp && mv $@.tmp $@
