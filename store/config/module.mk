libstore_a_SOURCES += %D%/settings.c %D%/settings.h %D%/settings.def

# The sample file and the manual page are printed from the table at build time.
noinst_PROGRAMS += store/config/settings_gen
store_config_settings_gen_SOURCES = %D%/settings_gen.c
nodist_man_MANS += doc/man/postseal.conf.5
confsampledir = $(pkgdatadir)
nodist_confsample_DATA = contrib/postseal.conf.sample
CLEANFILES += doc/man/postseal.conf.5 contrib/postseal.conf.sample
doc/man/postseal.conf.5: store/config/settings_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) doc/man && store/config/settings_gen$(EXEEXT) man >$@.tmp && mv $@.tmp $@
contrib/postseal.conf.sample: store/config/settings_gen$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) contrib && store/config/settings_gen$(EXEEXT) sample >$@.tmp && mv $@.tmp $@
