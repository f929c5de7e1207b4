#!/bin/sh
# A prepared statement is known to the server by its name: one name, one text, in the whole tree.
. "${top_srcdir:-.}/tests/lint/lint.inc"

names() {
	# shellcheck disable=SC2046
	awk '/struct statement [a-z_]+ = \{/ { wanted = 1 }
		wanted && match($0, /"[^"]*"/) {
			print substr($0, RSTART + 1, RLENGTH - 2); wanted = 0
		}' $(sources)
}
findings_from "$(names | sort | uniq -d | sed 's/$/: two statements have this name/')"
findings_from "$(names | awk 'length($0) > 63 { print $0 ": longer than 63 bytes" }')"
done_with "statements have names of their own"
