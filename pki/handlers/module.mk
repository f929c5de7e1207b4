# sources of this folder
libpki_a_SOURCES += %D%/handler.h %D%/answer.h %D%/config.h %D%/table.h
libpki_a_SOURCES += %D%/builtin.c %D%/handlers.c
libpki_a_SOURCES += %D%/peer.c %D%/peer.h
libpki_a_SOURCES += %D%/config.c %D%/config_set.c %D%/config_values.c %D%/config_values.h
libpki_a_SOURCES += %D%/cmp.c %D%/cmp_failure.c %D%/cmp_failure.h %D%/held.c %D%/held.h
libpki_a_SOURCES += %D%/atlas.c %D%/atlas_cert.c %D%/atlas_cert.h %D%/lost.c %D%/lost.h
libpki_a_SOURCES += %D%/atlas_request.c %D%/atlas_request.h %D%/atlas_session.c %D%/atlas_session.h %D%/atlas_claims.c %D%/atlas_claims.h
libpki_a_SOURCES += %D%/remembered.c %D%/remembered.h
libpki_a_SOURCES += %D%/epki.c %D%/epki_message.c %D%/epki_message.h %D%/soap.c %D%/soap.h
libpki_a_SOURCES += %D%/code.c %D%/code.h %D%/ejbca.c %D%/ejbca_message.c %D%/ejbca_message.h %D%/ejbca_session.c %D%/ejbca_session.h
libpki_a_SOURCES += %D%/session.c %D%/session.h %D%/token.c %D%/token.h
libpki_a_SOURCES += %D%/program.c %D%/program.h
libpki_a_SOURCES += %D%/acme_object.c %D%/acme_object.h %D%/acme_problem.c %D%/acme_problem.h
libpki_a_SOURCES += %D%/est.c %D%/est_reader.c %D%/est_reader.h
libpki_a_SOURCES += %D%/adcs.c %D%/adcs_page.c %D%/adcs_page.h
libpki_a_SOURCES += %D%/acme.c %D%/acme_account.c %D%/acme_account.h %D%/acme_cert.c %D%/acme_cert.h
libpki_a_SOURCES += %D%/acme_challenge.c %D%/acme_challenge.h %D%/acme_email.c %D%/acme_email.h
libpki_a_SOURCES += %D%/acme_order.c %D%/acme_order.h %D%/acme_wire.c %D%/acme_wire.h
libpki_a_SOURCES += %D%/csr.c %D%/intellicard.c %D%/command.c %D%/command_message.c %D%/command_message.h

# The manual page of the handlers has their settings from their tables.
noinst_PROGRAMS += pki/handlers/manual_gen
pki_handlers_manual_gen_SOURCES = %D%/manual_gen.c
pki_handlers_manual_gen_LDADD = $(PKI_LIBS)
nodist_man_MANS += doc/man/postseal-handlers.7
EXTRA_DIST += doc/man/postseal-handlers.7.in
doc/man/postseal-handlers.7: pki/handlers/manual_gen$(EXEEXT) $(top_srcdir)/doc/man/postseal-handlers.7.in
	$(AM_V_GEN)$(MKDIR_P) doc/man && pki/handlers/manual_gen$(EXEEXT) <$(top_srcdir)/doc/man/postseal-handlers.7.in >$@.tmp && mv $@.tmp $@
CLEANFILES += doc/man/postseal-handlers.7
libpki_a_SOURCES += %D%/acme_rollover.c %D%/acme_rollover.h
