# Fakes of foreign servers, for the end-to-end tests: written from public sources, sharing no code with the handlers.
EXTRA_DIST += %D%/server.py %D%/issuer.py
EXTRA_DIST += %D%/est.py %D%/ntlm.py %D%/certsrv.py %D%/cmp.py
EXTRA_DIST += %D%/atlas.py %D%/ejbca.py %D%/epki.py %D%/txt.py
EXTRA_DIST += %D%/acme_mail.py
