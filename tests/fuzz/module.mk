# Fuzz targets: each file has LLVMFuzzerTestOneInput and a folder corpus/<target>/ with seeds.
# As a rule they are tests that replay the seeds (replay_main.c); with --enable-fuzz (and
# CC=clang) they are libFuzzer programs. Owners add their target like this one:
#
#   FUZZ_TARGETS += tests/fuzz/fuzz_x
#   tests_fuzz_fuzz_x_SOURCES = %D%/fuzz_x.c $(FUZZ_MAIN)
#   tests_fuzz_fuzz_x_LDADD = $(PKI_LIBS)
#   tests_fuzz_fuzz_x_LDFLAGS = $(FUZZ_LINK)

FUZZ_TARGETS =
EXTRA_DIST += %D%/corpus
if FUZZ
noinst_PROGRAMS += $(FUZZ_TARGETS)
FUZZ_MAIN =
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
else
check_PROGRAMS += $(FUZZ_TARGETS)
FUZZ_MAIN = %D%/replay_main.c
FUZZ_LINK = $(AM_LDFLAGS)
endif

FUZZ_TARGETS += tests/fuzz/fuzz_settings
tests_fuzz_fuzz_settings_SOURCES = %D%/fuzz_settings.c $(FUZZ_MAIN)
tests_fuzz_fuzz_settings_LDADD = $(STORE_LIBS)
tests_fuzz_fuzz_settings_LDFLAGS = $(FUZZ_LINK)

include %D%/pki.mk
include %D%/mime.mk
include %D%/cms.mk
