#!/bin/sh
# An #include may name its own layer or one below: store < pki < milter < admin.
# The milter program's own files (glue, session, process, main) are nobody else's.
. "${top_srcdir:-.}/tests/lint/lint.inc"

upward() {
	grep -rnE "^#[[:space:]]*include[[:space:]]*\"($2)/" "$1" --include='*.[ch]'
}
findings_from "$(upward store 'pki|milter|admin')"
findings_from "$(upward pki 'milter|admin')"
findings_from "$(upward milter 'admin')"
findings_from "$(grep -rnE '"milter/(session|libmilter_glue)\.h"' admin --include='*.[ch]')"
findings_from "$(grep -rnE '#[[:space:]]*include[[:space:]]*"tests/' store pki milter admin --include='*.[ch]')"
done_with "includes point downward"
