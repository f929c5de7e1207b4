#!/bin/sh
# Every function of a header has a caller in the product. What only tests call is a row of
# tests/lint/only-tests, which holds nothing else. By name, so that no build is needed.
. "${top_srcdir:-.}/tests/lint/lint.inc"

# shellcheck disable=SC2046
unused=$(awk '
	FILENAME == "tests/lint/only-tests" { if ($1 !~ /^#/) allowed[$1] = 1; next }
	{
		line = $0
		is_header = FILENAME ~ /\.h$/
		if (is_header && line ~ /^( \*|\/\*)/) next
		sub(/\/\*.*/, "", line)
		if (is_header && match(line, /^[a-zA-Z].*[ *][a-z][a-z0-9_]*\(/)) {
			name = substr(line, 1, RLENGTH - 1)
			sub(/.*[ *]/, "", name)
			if (!(name in declared) && line !~ /static|typedef|#/) declared[name] = FILENAME
		}
		if (!is_header && match(line, /^[a-z][a-z0-9_]*\(/)) defined[substr(line, 1, RLENGTH - 1)] = 1
		while (match(line, /[a-zA-Z_][a-zA-Z0-9_]*/)) {
			word = substr(line, RSTART, RLENGTH)
			if (is_header) in_headers[word]++
			else in_sources[word]++
			line = substr(line, RSTART + RLENGTH)
		}
	}
	END {
		for (name in declared) {
			own = (name in defined) ? 1 : 0
			used = in_sources[name] > own || in_headers[name] > 1
			if (!used && !(name in allowed)) print declared[name] ": nobody calls " name "()"
			if (used && name in allowed) print "tests/lint/only-tests: " name " is called by the product"
			delete allowed[name]
		}
		for (name in allowed) print "tests/lint/only-tests: there is no " name
	}' tests/lint/only-tests $(find store pki milter admin -name '*.[ch]' -o -name '*.def' | sort) | sort)
findings_from "$unused"
done_with "no function without a caller"
