#!/bin/sh
# The tools of the bench and of the scripts: client, sender and load generator against the filter
# that does nothing. Quick; the bench itself is tests/bench/run.
set -u
build=${top_builddir:-.}
folder=$(mktemp -d) || exit 1
filter=
number=0
failed=0

finish() {
	[ -z "$filter" ] || kill "$filter" 2>/dev/null
	rm -rf "$folder"
	exit "$failed"
}

check() { # STATUS NAME
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number - $2"
	else
		echo "not ok $number - $2"
		failed=1
	fi
}

echo 1..5
"$build/tests/bench/null_filter" "unix:$folder/socket" echo >"$folder/log" 2>&1 &
filter=$!
tries=0
until [ -S "$folder/socket" ] || [ "$tries" -ge 100 ]; do
	tries=$((tries + 1))
	sleep 0.1
done

{
	printf 'From: <a@example.com>\r\nSubject: folded\r\n over two lines\r\nX-Tight:no blank\r\n\r\n'
	awk 'BEGIN { for (i = 0; i < 4000; i++) printf "line %d of a body that takes several pieces\r\n", i }'
} >"$folder/in.eml"
"$build/tests/support/milter_send" -s "unix:$folder/socket" -f a@example.com -r b@example.com \
	"$folder/in.eml" >"$folder/out.eml" 2>"$folder/said"
check $? "a message goes through the filter"
grep -q '^X-Null: echo' "$folder/out.eml"
check $? "its modifications are applied"
grep -v '^X-Null:' "$folder/out.eml" | cmp -s - "$folder/in.eml"
check $? "the rest is as it was sent, byte for byte"
"$build/tests/bench/bench_milter" -s "unix:$folder/socket" -n 4 -d 1 -z 100000 >"$folder/load" 2>&1 &&
	grep -q '"refused": 0' "$folder/load" && grep -q '"unchanged": 0' "$folder/load"
status=$?
[ "$status" -eq 0 ] || sed 's/^/# /' "$folder/load" | tail -n 30
check "$status" "the load generator keeps four connections busy"
"$build/tests/bench/bench_issue" --smoke >"$folder/issue" 2>&1
status=$?
[ "$status" -eq 77 ] || { [ "$status" -eq 0 ] && grep -q '"ratio"' "$folder/issue"; }
status=$?
[ "$status" -eq 0 ] || sed 's/^/# /' "$folder/issue" | tail -n 30
check "$status" "a small batch is issued and measured"
finish
