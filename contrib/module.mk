# sources of this folder

# Snippets for the mail server, units for the service manager.
EXTRA_DIST += %D%/postfix/main.cf %D%/postfix/master.cf %D%/postfix/opendkim-verify.conf \
	%D%/postfix/opendkim-sign.conf %D%/sendmail/postseal.mc %D%/runit/README.md \
	%D%/runit/postseal-db/run %D%/runit/postseal-db/control/t %D%/runit/postseal-db/log/run \
	%D%/runit/postseald/run %D%/runit/postseald/log/run \
	%D%/runit/postseal-milter/run %D%/runit/postseal-milter/log/run \
	%D%/packages %D%/quickstart %D%/quickstart.d/main.cf %D%/quickstart.d/master.cf \
	$(UNIT_TEMPLATES)
UNIT_TEMPLATES = %D%/systemd/postseal-milter.service.in %D%/systemd/postseald.service.in \
	%D%/systemd/postseal-db.service.in
UNITS = %D%/systemd/postseal-milter.service %D%/systemd/postseald.service \
	%D%/systemd/postseal-db.service
CLEANFILES += $(UNITS)
sysusersdir = $(prefix)/lib/sysusers.d
tmpfilesdir = $(prefix)/lib/tmpfiles.d
EXTRA_DIST += %D%/systemd/sysusers.d/postseal.conf %D%/systemd/tmpfiles.d/postseal.conf
if SYSTEMD_UNITS
sysusers_DATA = %D%/systemd/sysusers.d/postseal.conf
tmpfiles_DATA = %D%/systemd/tmpfiles.d/postseal.conf
nodist_systemdsystemunit_DATA = $(UNITS)
endif
$(UNITS): %D%/systemd/%.service: %D%/systemd/%.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && sed -e 's|@sbindir[@]|$(sbindir)|g' \
	-e 's|@sysconfdir[@]|$(sysconfdir)|g' $< >$@.tmp && mv $@.tmp $@
