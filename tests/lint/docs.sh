#!/bin/sh
# Nothing without its documentation: every header opens with its contract, every program has a
# manual page, every folder and every noun of the tree a place in doc/architecture.md, every decision a
# context.
. "${top_srcdir:-.}/tests/lint/lint.inc"

for header in $(sources | grep '\.h$'); do
	head -n 2 "$header" | grep -q ' \* .* - ' ||
		finding "$header: does not open with '/* noun - purpose'"
done
for source in $(sources | grep '\.c$'); do
	# The contract may stand in its header alone.
	case "$(head -n 1 "$source")" in
	'/*'* | "#include \"${source%.c}.h\"") ;;
	*) finding "$source: opens neither with a contract comment nor with its own header" ;;
	esac
done
for folder in store/base store/config store/db store/schema pki/crypto pki/net pki/handlers \
	milter/message milter/mime milter/policy admin/http admin/api admin/jobs admin/cli; do
	grep -q "$folder" doc/architecture.md || finding "doc/architecture.md does not name $folder"
done
# A file is found by its noun, or by that of the file it is a part of (cms_unwrap, bulk_issue). The
# files of admin/api and admin/jobs are named for the nouns and verbs of the table of operations.
words=" $(tr -cs 'a-zA-Z0-9_' ' ' <doc/architecture.md) "
for source in $(sources | grep '\.c$' | grep -vE '^admin/|_gen\.c$|/main\.c$|^store/(config|schema)/'); do
	noun=${source##*/}
	noun=${noun%.c}
	while :; do
		case "$words" in *" $noun "*) break ;; esac
		case "$noun" in
		*_*) noun=${noun%_*} ;;
		*)
			finding "doc/architecture.md does not name the room of $source"
			break
			;;
		esac
	done
done
for program in postseal postseald postseal-milter; do
	grep -q "$program" README.md || finding "README.md does not name $program"
done
for decision in doc/decisions/[0-9]*.md; do
	[ -e "$decision" ] || continue
	for part in Context Choice Consequences; do
		grep -q "^## $part" "$decision" || finding "$decision: no section '$part'"
	done
done
done_with "nothing without its documentation"
