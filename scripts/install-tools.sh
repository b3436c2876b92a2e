#!/bin/sh
# Makes sure that the programs the tests need are there. On Debian and Ubuntu it
# installs what is missing, as root or with sudo that asks for no password;
# elsewhere it says what to install and stops.
set -eu
cd "$(dirname "$0")/.."

has() { command -v "$1" >/dev/null 2>&1; }

has_postgres() {
	for program in /usr/lib/postgresql/*/bin/postgres "$(command -v postgres || true)"; do
		[ -x "$program" ] || continue
		release=$("$program" --version | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p')
		[ "${release:-0}" -ge 15 ] && return 0
	done
	return 1
}

has_node() { has node && has npm && [ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ]; }

has_chromium() {
	for name in chromium chromium-browser google-chrome google-chrome-stable; do
		# Ubuntu's chromium-browser may be a stub that only says to use snap.
		has "$name" && "$name" --version >/dev/null 2>&1 && return 0
	done
	return 1
}

has_compiler() { has gcc && echo 'int main(void){return 0;}' | gcc -x c -o /dev/null - 2>/dev/null; }

# Each line: the test, the packages, what a person should install.
chromium=chromium
if grep -qs '^ID=ubuntu' /etc/os-release; then chromium=chromium-browser; fi
needs() {
	cat <<-TXT
		has_compiler|gcc libc6-dev|a C compiler, for Go's race detector (Kept itself is built without one)
		has_postgres|postgresql|PostgreSQL 15 or newer (https://www.postgresql.org/download/linux/)
		has_redis|redis-server|Redis, for the queues whose agents report to Kept
		has_download|curl|curl or wget, for the script that installs the agent
		has_node|nodejs npm|Node 18 or newer with npm (https://nodejs.org/)
		has_chromium|$chromium|Chromium or Google Chrome (https://www.google.com/chrome/)
	TXT
}
has_redis() { has redis-server; }
has_download() { has curl || has wget; }

# missing prints one field of the needs that are not met: 2 packages, 3 words.
missing() {
	needs | while IFS='|' read -r check packages words; do
		"$check" && continue
		if [ "$1" = 2 ]; then echo "$packages"; else echo "  $words"; fi
	done
}

if ! has go || ! go list -m >/dev/null 2>&1; then
	echo "Kept needs Go $(sed -n 's/^go //p' go.mod) or newer: https://go.dev/dl/" >&2
	has go && go list -m >&2
	exit 1
fi

packages=$(missing 2 | tr '\n' ' ')
[ -n "$packages" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then sudo='sudo -n'; fi
if has apt-get && { [ -z "$sudo" ] || sudo -n true 2>/dev/null; }; then
	echo "Installing $packages"
	export DEBIAN_FRONTEND=noninteractive
	# A package that this release does not have must not keep the others out;
	# what is still missing is said below.
	$sudo apt-get update -q </dev/null || true
	for package in $packages; do
		$sudo apt-get install -y -q --no-install-recommends "$package" </dev/null || true
	done
fi

words=$(missing 3)
[ -n "$words" ] || exit 0
{
	echo "Please install these, then run make test again:"
	echo "$words"
	echo "On Debian and Ubuntu: apt-get install $(missing 2 | tr '\n' ' ')"
} >&2
exit 1
