#!/bin/sh
# Every outcome of a message has a name, and every name has a test: what the unit tests have
# produced (reasons_seen.h) against the table.
set -eu
table=$top_srcdir/store/base/reasons.def
seen=$top_builddir/tests/reasons-seen

echo 1..1
missing=
for name in $(sed -n 's/^REASON([A-Z_]*, *"\([^"]*\)".*/\1/p' "$table"); do
	grep -qrxF "$name" "$seen" 2>/dev/null || missing="$missing $name"
done
skipped=$(grep -l '^SKIP' "$top_builddir"/tests/unit/milter/test_*.log 2>/dev/null || true)
if [ -n "$missing" ] && [ -n "$skipped" ]; then
	echo "ok 1 # SKIP some tests were skipped:" $skipped
elif [ -z "$missing" ]; then
	echo "ok 1 - every reason is produced by a test"
else
	for name in $missing; do echo "# no test has produced $name"; done
	echo "not ok 1 - every reason is produced by a test"
	exit 1
fi
