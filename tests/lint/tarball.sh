#!/bin/sh
# Every file that is tracked is named by a module.mk (or is in a folder that one takes whole), so
# that it is in the tarball, too. Quick and by name; `make distcheck` proves it.
. "${top_srcdir:-.}/tests/lint/lint.inc"

named=$(cat Makefile.am configure.ac
	find store pki milter admin contrib doc tests -name '*.mk' -exec cat {} +)
for file in $(git ls-files 2>/dev/null); do
	case "$file" in
	.ci/* | .gitignore | Makefile.am | configure.ac | *.mk | m4/*) continue ;;
	tests/fuzz/corpus/* | doc/decisions/*) continue ;;
	esac
	[ -e "$file" ] || continue
	case "$named" in
	*"${file##*/}"*) ;;
	*) finding "$file: no module.mk names it, so that the tarball lacks it" ;;
	esac
done
done_with "the tarball holds all that is tracked"
