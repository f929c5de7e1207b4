# sources of this folder
dist_man_MANS += %D%/man/postseal-handler-atlas.7 %D%/man/postseal-handler-ejbca.7 %D%/man/postseal-handler-epki.7
dist_man_MANS += %D%/man/postseal-milter.8 %D%/man/postseald.8
EXTRA_DIST += %D%/architecture.md %D%/hacking.md %D%/operations.md %D%/threat-model.md %D%/decisions
dist_man_MANS += %D%/man/postseal-handler-adcs.7 %D%/man/postseal-handler-cmp.7 %D%/man/postseal-handler-est.7
dist_man_MANS += %D%/man/postseal-handler-acme.7
