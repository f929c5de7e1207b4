# unit tests of the layer pki: they link it and what is below
include %D%/pki.mk
include %D%/net.mk
CMS_FIXTURE = %D%/cms_fixture.c %D%/cms_fixture.h
check_PROGRAMS += tests/unit/pki/test_base64 tests/unit/pki/test_cms_sign \
	tests/unit/pki/test_cms_encrypt tests/unit/pki/test_cms_verify \
	tests/unit/pki/test_cms_decrypt tests/unit/pki/test_cms_inspect \
	tests/unit/pki/test_cms_password
tests_unit_pki_test_base64_SOURCES = %D%/test_base64.c
tests_unit_pki_test_base64_LDADD = $(PKI_LIBS)
tests_unit_pki_test_cms_sign_SOURCES = %D%/test_cms_sign.c $(CMS_FIXTURE)
tests_unit_pki_test_cms_sign_LDADD = $(PKI_LIBS)
tests_unit_pki_test_cms_encrypt_SOURCES = %D%/test_cms_encrypt.c $(CMS_FIXTURE)
tests_unit_pki_test_cms_encrypt_LDADD = $(PKI_LIBS)
tests_unit_pki_test_cms_verify_SOURCES = %D%/test_cms_verify.c $(CMS_FIXTURE)
tests_unit_pki_test_cms_verify_LDADD = $(PKI_LIBS)
tests_unit_pki_test_cms_decrypt_SOURCES = %D%/test_cms_decrypt.c $(CMS_FIXTURE)
tests_unit_pki_test_cms_decrypt_LDADD = $(PKI_LIBS)
tests_unit_pki_test_cms_password_SOURCES = %D%/test_cms_password.c $(CMS_FIXTURE)
tests_unit_pki_test_cms_password_LDADD = $(PKI_LIBS)
tests_unit_pki_test_cms_inspect_SOURCES = %D%/test_cms_inspect.c $(CMS_FIXTURE)
tests_unit_pki_test_cms_inspect_LDADD = $(PKI_LIBS)
EXTRA_DIST += \
	tests/vectors/cms/rsa1.crt.pem tests/vectors/cms/rsa1.key.pem \
	tests/vectors/cms/rsa2.crt.pem tests/vectors/cms/rsa2.key.pem \
	tests/vectors/cms/rsa3072.crt.pem tests/vectors/cms/rsa3072.key.pem \
	tests/vectors/cms/ec256.crt.pem tests/vectors/cms/ec256.key.pem \
	tests/vectors/cms/ec256b.crt.pem tests/vectors/cms/ec256b.key.pem \
	tests/vectors/cms/ec384.crt.pem tests/vectors/cms/ec384.key.pem \
	tests/vectors/cms/ec521.crt.pem tests/vectors/cms/ec521.key.pem

check_PROGRAMS += tests/unit/pki/test_csv
tests_unit_pki_test_csv_SOURCES = %D%/test_csv.c
tests_unit_pki_test_csv_LDADD = $(TEST_LIBS) $(PKI_LIBS)

check_PROGRAMS += tests/unit/pki/test_ca
tests_unit_pki_test_ca_SOURCES = %D%/test_ca.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_ca_LDADD = $(TEST_LIBS) $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_ca_lists
tests_unit_pki_test_ca_lists_SOURCES = %D%/test_ca_lists.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_ca_lists_LDADD = $(TEST_LIBS) $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_ca_profiles
tests_unit_pki_test_ca_profiles_SOURCES = %D%/test_ca_profiles.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_ca_profiles_LDADD = $(TEST_LIBS) $(PKI_LIBS)

check_PROGRAMS += tests/unit/pki/test_keyring tests/unit/pki/test_enroll
tests_unit_pki_test_keyring_SOURCES = %D%/test_keyring.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_keyring_LDADD = $(TEST_LIBS) $(PKI_LIBS)
tests_unit_pki_test_enroll_SOURCES = %D%/test_enroll.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_enroll_LDADD = $(TEST_LIBS) $(PKI_LIBS)

check_PROGRAMS += tests/unit/pki/test_delivery
tests_unit_pki_test_delivery_SOURCES = %D%/test_delivery.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_delivery_LDADD = $(TEST_LIBS) $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_import
tests_unit_pki_test_import_SOURCES = %D%/test_import.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_import_LDADD = $(TEST_LIBS) $(PKI_LIBS)

check_PROGRAMS += tests/unit/pki/test_handler_config
tests_unit_pki_test_handler_config_SOURCES = %D%/test_handler_config.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_handler_config_LDADD = $(TEST_LIBS) $(PKI_LIBS)

check_PROGRAMS += tests/unit/pki/test_cmp
tests_unit_pki_test_cmp_SOURCES = %D%/test_cmp.c
tests_unit_pki_test_cmp_LDADD = $(TEST_LIBS) $(PKI_LIBS)
check_PROGRAMS += tests/unit/pki/test_enroll_steps
tests_unit_pki_test_enroll_steps_SOURCES = %D%/test_enroll_steps.c %D%/pki_fixture.c %D%/pki_fixture.h
tests_unit_pki_test_enroll_steps_LDADD = $(TEST_LIBS) $(PKI_LIBS)

check_PROGRAMS += tests/unit/pki/test_ca_pages
tests_unit_pki_test_ca_pages_SOURCES = %D%/test_ca_pages.c %D%/cert_fixture.c %D%/cert_fixture.h
tests_unit_pki_test_ca_pages_LDADD = $(TEST_LIBS) $(PKI_LIBS)
