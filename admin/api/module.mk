libadmin_a_SOURCES += \
	%D%/operation.c %D%/operation.h %D%/operations.def \
	%D%/arguments.c %D%/arguments.h %D%/call.c %D%/ca_context.h %D%/authority.h %D%/authority_files.c %D%/authority_installer.c %D%/authority_installer.h %D%/authority_lists.c %D%/call.h %D%/change.c %D%/change.h \
	%D%/dispatch.c %D%/dispatch.h %D%/handlers.c %D%/handlers.h \
	%D%/json_memory.c %D%/json_memory.h %D%/local_operation.c %D%/local_operation.h \
	%D%/paging.c %D%/paging.h %D%/scope_argument.c %D%/scope_argument.h \
	%D%/cert_ocsp.c %D%/cert_ocsp.h %D%/cert_show.c %D%/cert_text.c %D%/cert_text.h %D%/cert_uses.c %D%/cert_uses.h %D%/importing.c %D%/importing.h \
	%D%/authorities.c %D%/certs.c %D%/configs.c %D%/database_move.c %D%/databases.c \
	%D%/doctor.c %D%/doctor.h %D%/doctor_files.c %D%/doctor_mta.c %D%/doctor_place.c %D%/doctor_place.h %D%/listener_probe.c %D%/listener_probe.h \
	%D%/postconf.c %D%/postconf.h %D%/doctor_store.c \
	%D%/explains.c %D%/keys.c %D%/milter_status.c %D%/milter_status.h \
	%D%/preference_sets.c %D%/records.c %D%/batches.c %D%/requests.c %D%/revocation_lists.c \
	%D%/roots.c %D%/rotation.c %D%/select_show.c %D%/selects.c %D%/selftest.c %D%/serving.c %D%/serving.h %D%/setting_up.c \
	%D%/status.c %D%/temporary_server.c %D%/temporary_server.h %D%/trust_list.c
libadmin_a_SOURCES += %D%/doctor_delivery.c %D%/delivering.c %D%/delivering.h %D%/numbers.c %D%/numbers.h %D%/row_acts.c %D%/row_acts.h %D%/transplant.c %D%/transplant.h %D%/outboxes.c %D%/texting.c %D%/texts.c
libadmin_a_SOURCES += %D%/atlas.c
libadmin_a_SOURCES += %D%/directory_servers.c %D%/pending.c

libadmin_a_SOURCES += %D%/request_acts.c %D%/request_handlers.c %D%/request_uploads.c

# Manual pages and completion are printed from the table of operations at build time.
noinst_PROGRAMS += admin/api/operations_gen
admin_api_operations_gen_SOURCES = %D%/operations_gen.c
admin_api_operations_gen_LDADD = libadmin.a libstore.a $(GLIB_LIBS)
operation_pages = doc/man/postseal-cert.1 doc/man/postseal-key.1 doc/man/postseal-root.1 \
	doc/man/postseal-crl.1 doc/man/postseal-directory.1 doc/man/postseal-ctl.1 doc/man/postseal-user.1 \
	doc/man/postseal-domain.1 doc/man/postseal-global.1 doc/man/postseal-select.1 \
	doc/man/postseal-ca.1 doc/man/postseal-request.1 doc/man/postseal-bulk.1 doc/man/postseal-job.1 \
	doc/man/postseal-audit.1 doc/man/postseal-db.1 doc/man/postseal-config.1 \
	doc/man/postseal-outbox.1 doc/man/postseal-template.1 doc/man/postseal-notify.1 doc/man/postseal-sms.1 \
	doc/man/postseal-handler.1 \
	doc/man/postseal-message.1
nodist_man_MANS += doc/man/postseal.1 $(operation_pages)
doc/man/postseal.1: admin/api/operations_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) doc/man && admin/api/operations_gen$(EXEEXT) man >$@.tmp && mv $@.tmp $@
$(operation_pages): admin/api/operations_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) doc/man && noun=$@ && noun=$${noun#*postseal-} && \
		admin/api/operations_gen$(EXEEXT) man $${noun%.1} >$@.tmp && mv $@.tmp $@

bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
fishcompletiondir = $(datadir)/fish/vendor_completions.d
nodist_bashcompletion_DATA = contrib/completion/postseal
nodist_zshcompletion_DATA = contrib/completion/_postseal
nodist_fishcompletion_DATA = contrib/completion/postseal.fish
contrib/completion/postseal: admin/api/operations_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) contrib/completion && admin/api/operations_gen$(EXEEXT) bash >$@.tmp && mv $@.tmp $@
contrib/completion/_postseal: admin/api/operations_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) contrib/completion && admin/api/operations_gen$(EXEEXT) zsh >$@.tmp && mv $@.tmp $@
contrib/completion/postseal.fish: admin/api/operations_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) contrib/completion && admin/api/operations_gen$(EXEEXT) fish >$@.tmp && mv $@.tmp $@
CLEANFILES += doc/man/postseal.1 $(operation_pages) $(nodist_bashcompletion_DATA) \
	$(nodist_zshcompletion_DATA) $(nodist_fishcompletion_DATA)
libadmin_a_SOURCES += %D%/doctor_crls.c %D%/doctor_fetch.c %D%/fetching.c %D%/fetching.h
libadmin_a_SOURCES += %D%/publishing.c %D%/doctor_public.c
