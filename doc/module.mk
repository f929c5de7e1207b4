# sources of this folder
dist_man_MANS += %D%/man/postseal-milter.8
EXTRA_DIST += %D%/operations.md
