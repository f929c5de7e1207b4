# End-to-end tests: started by tests/run, not by make check.
EXTRA_DIST += %D%/test_revocation.py %D%/commands.py %D%/test_store_cli.py %D%/authority.py %D%/harness.py %D%/mta.py %D%/peers.py %D%/ports.py %D%/samples.py %D%/sendmail.py \
	%D%/test_cli.py %D%/test_cluster.py %D%/test_dkim.py %D%/test_explain.py %D%/test_faults.py %D%/test_filter.py %D%/test_harvest.py %D%/test_import.py \
	%D%/listener.py %D%/test_split.py %D%/test_split_faults.py %D%/test_marker.py %D%/test_interop.py %D%/test_life.py %D%/test_origin.py
EXTRA_DIST += %D%/test_ca.py %D%/lint_cert.py
EXTRA_DIST += %D%/directories.py %D%/test_directory.py
EXTRA_DIST += %D%/test_bulk.py
EXTRA_DIST += %D%/test_fetch.py
EXTRA_DIST += %D%/test_ocsp.py
EXTRA_DIST += %D%/test_callbacks.py
EXTRA_DIST += %D%/arriving.py %D%/attack_mails.py %D%/forge.py %D%/test_attacks.py %D%/test_samples.py
EXTRA_DIST += %D%/BouncyCastle.java
EXTRA_DIST += %D%/test_headers.py
EXTRA_DIST += %D%/mtas %D%/test_torture.py
EXTRA_DIST += %D%/test_outbound.py
EXTRA_DIST += %D%/test_inbound.py
EXTRA_DIST += %D%/test_preferences.py
EXTRA_DIST += %D%/test_public.py
EXTRA_DIST += %D%/test_delivery.py
# Request handlers against the fakes of tests/fakes.
EXTRA_DIST += %D%/drive.py %D%/test_atlas.py %D%/test_ejbca.py %D%/test_epki.py %D%/test_rest.py
EXTRA_DIST += %D%/pebble.py %D%/test_acme.py
EXTRA_DIST += %D%/test_certsrv.py %D%/test_cmp.py %D%/test_est.py %D%/test_protocols.py
EXTRA_DIST += %D%/test_secrets.py %D%/secrets_search.py
EXTRA_DIST += %D%/test_requests.py
EXTRA_DIST += %D%/test_acme_mail.py
