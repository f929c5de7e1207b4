#!/bin/sh
# No unfinished marks, no path of somebody's machine.
. "${top_srcdir:-.}/tests/lint/lint.inc"

findings_from "$(grep -rnIE '\b(TODO|FIXME|XXX|HACK|not implemented)\b' store pki milter admin contrib \
	--include='*.[ch]' --include='*.sh' --include='*.def' --include='*.sql')"
findings_from "$(grep -rnIE '(/home/[a-z]|/root/|/work/)' store pki milter admin contrib doc tests README.md \
	--exclude-dir=lint --exclude-dir=__pycache__)"
done_with "no unfinished marks, no path of one machine"
