# sources of this folder
dist_man_MANS += %D%/man/postseal-milter.8 %D%/man/postseald.8
EXTRA_DIST += %D%/operations.md
EXTRA_DIST += %D%/decisions/0010-a-lowered-signature.md \
	%D%/decisions/0011-size-and-the-strongest-that-fits.md \
	%D%/decisions/0012-triggers-in-relayed-mail.md %D%/decisions/0013-what-observe-changes.md \
	%D%/decisions/0014-aliases.md %D%/decisions/0015-mail-that-nobody-wrote.md \
	%D%/decisions/0016-on-refuse-recipient.md \
	%D%/decisions/0020-the-order-of-changes.md %D%/decisions/0021-a-restore-goes-beside.md
EXTRA_DIST += %D%/decisions/0030-a-change-and-its-answer.md %D%/decisions/0031-commands-of-root.md
