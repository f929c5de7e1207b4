#!/bin/sh
# Each external library has one home; its headers appear nowhere else.
. "${top_srcdir:-.}/tests/lint/lint.inc"

# home PATTERN-OF-HEADER PATTERN-OF-FILES-ALLOWED
home() {
	findings_from "$(grep -rnE "^#[[:space:]]*include[[:space:]]*<($1)" store pki milter admin \
		--include='*.[ch]' | grep -vE "^($2)")"
}
home 'libpq-fe|libpq/|postgres' 'store/db/'
home 'openssl/' 'pki/crypto/'
home 'curl/' 'pki/net/http(_exchange)?\.'
home 'ldap|lber' 'pki/net/ldap(_internal|_write)?\.'
home 'idn2' 'store/base/mailaddr\.'
home 'opendkim/|dkim' 'milter/dkim\.'
home 'libxml/' 'pki/handlers/soap\.'
home 'jansson' 'pki/handlers/|admin/api/|admin/cli/'
home 'gmime/' 'milter/mime/'
home 'libmilter/' 'milter/libmilter_glue\.'
home 'microhttpd' 'admin/http/'
home 'p11-kit/' 'pki/system_roots\.'
done_with "library headers stay in their homes"
