LINTS = %D%/layers.sh %D%/homes.sh %D%/banned.sh %D%/sizes.sh %D%/docs.sh %D%/marks.sh %D%/mtas.sh %D%/units.sh %D%/statements.sh %D%/tarball.sh %D%/unused.sh
dist_check_SCRIPTS += $(LINTS)
EXTRA_DIST += %D%/lint.inc %D%/only-tests %D%/warnings %D%/scripts
