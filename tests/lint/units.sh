#!/bin/sh
# The systemd units are accepted without a word and are well shut in; users and folders parse.
. "${top_srcdir:-.}/tests/lint/lint.inc"

for tool in systemd-analyze systemd-sysusers systemd-tmpfiles; do
	command -v "$tool" >/dev/null || {
		echo "1..0 # SKIP no $tool"
		exit 0
	}
done
scratch=$(mktemp -d) || exit 99
trap 'rm -rf "$scratch"' EXIT
for template in contrib/systemd/*.service.in; do
	unit=$scratch/$(basename "$template" .in)
	# The programs are not installed here, and man pages of ours are not either.
	sed -e 's|^ExecStart=[^ ]*|ExecStart=/bin/true|' -e 's|@sysconfdir@|/etc|g' -e '/^Documentation=/d' \
		-e 's|^User=.*|User=daemon|' "$template" >"$unit"
done
for unit in "$scratch"/*.service; do
	name=$(basename "$unit")
	said=$(SYSTEMD_UNIT_PATH="$scratch:/lib/systemd/system" systemd-analyze verify "$unit" 2>&1)
	[ -z "$said" ] || finding "$name: $said"
	# postseald speaks to the world, the filter to its host, the database to nobody.
	case $name in
	postseald.service) most=17 ;;
	postseal-milter.service) most=14 ;;
	*) most=10 ;;
	esac
	systemd-analyze security --offline=true --no-pager --threshold=$most "$unit" >"$scratch/said" 2>&1 ||
		finding "$name: $(tail -n 1 "$scratch/said")"
done
said=$(systemd-sysusers --dry-run "$PWD/contrib/systemd/sysusers.d/postseal.conf" 2>&1) || finding "sysusers: $said"
mkdir -p "$scratch/root/etc"
id=901
for user in postseal postseal-milter postseal-db; do
	echo "$user:x:$id:$id::/:/bin/false" >>"$scratch/root/etc/passwd"
	echo "$user:x:$id:" >>"$scratch/root/etc/group"
	id=$((id + 1))
done
echo "root:x:0:0::/:/bin/sh" >>"$scratch/root/etc/passwd"
echo "root:x:0:" >>"$scratch/root/etc/group"
said=$(systemd-tmpfiles --root="$scratch/root" --create "$PWD/contrib/systemd/tmpfiles.d/postseal.conf" 2>&1)
[ -d "$scratch/root/var/lib/postseal/milter" ] || finding "tmpfiles: $said"
done_with "units, users and folders for systemd"
