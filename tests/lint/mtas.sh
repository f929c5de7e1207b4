#!/bin/sh
# Each end-to-end test says which MTAs it runs on, and why.
. "${top_srcdir:-.}/tests/lint/lint.inc"

for test in tests/e2e/test_*.py; do
	name=${test##*/}
	case "$(sed -nE "s/^$name +(both|full|postfix|none) +[^ ].*/\1/p" tests/e2e/mtas | wc -l)" in
	1) ;;
	*) finding "$name: tests/e2e/mtas needs one line for it, with a word that it knows and a reason" ;;
	esac
done
findings_from "$(sed -nE 's/^(test_[a-z_0-9]*\.py) .*/\1/p' tests/e2e/mtas | while read -r name; do
	[ -e "tests/e2e/$name" ] || echo "tests/e2e/mtas: there is no $name"
done)"
done_with "each end-to-end test names its MTAs"
