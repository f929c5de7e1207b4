#!/bin/sh
# Files up to 800 lines, functions up to 100, headers up to 120; names that say nothing are refused.
# Past 600 and 80 there is a reminder only.
. "${top_srcdir:-.}/tests/lint/lint.inc"

all=$(find store pki milter admin tests -name '*.c' -o -name '*.h' | sort)
for file in $all; do
	lines=$(wc -l <"$file")
	case "$file" in
	*.h) [ "$lines" -le 120 ] || finding "$file: $lines lines, a header has 120 at the most" ;;
	tests/*) ;;
	*)
		[ "$lines" -le 800 ] || finding "$file: $lines lines, the limit is 800"
		[ "$lines" -le 600 ] || echo "# reminder: $file has $lines lines"
		;;
	esac
	case "${file##*/}" in
	util.* | utils.* | misc.* | common.* | helper.* | helpers.*)
		finding "$file: a file is named by the noun it keeps" ;;
	esac
done
# shellcheck disable=SC2046
long=$(awk '
	FNR == 1 { start = 0 }
	/^\{/ { start = FNR }
	/^\}/ {
		size = FNR - start
		if (start && size > 100) print FILENAME ":" start ": function of " size " lines, the limit is 100"
		else if (start && size > 80) print "# reminder: " FILENAME ":" start ": function of " size " lines" > "/dev/stderr"
		start = 0
	}' $(printf '%s\n' "$all" | grep '\.c$'))
findings_from "$long"
done_with "files and functions stay small"
