#!/bin/sh
# Installs kept-agent, which reports this host to a Kept server.
#
#   … | sudo sh -s -- TOKEN     installs it and enrols this host; what follows the
#                               token goes to kept-agent enrol, such as --no-start
#   … | sudo sh                 brings an agent that is there up to date
#
# KEPT_AGENT_DIR is where it goes, /usr/local/bin if it is not set.
set -eu

server={{quote .Base}}

fail() {
	echo "kept-agent was not installed: $1" >&2
	exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# platform is what this host is, in Go's words.
platform() {
	case "$(uname -s)" in
	Linux) os=linux ;;
	Darwin) os=darwin ;;
	FreeBSD) os=freebsd ;;
	*) os=$(uname -s | tr 'A-Z' 'a-z') ;;
	esac
	case "$(uname -m)" in
	x86_64 | amd64) arch=amd64 ;;
	aarch64 | arm64) arch=arm64 ;;
	armv6* | armv7* | armhf) arch=arm ;;
	i386 | i686) arch=386 ;;
	*) arch=$(uname -m) ;;
	esac
	echo "$os-$arch"
}

# expected is the SHA-256 of the agent for a platform.
expected() {
	case "$1" in
{{- range .Builds}}
	{{.Platform}}) echo {{.SHA256}} ;;
{{- end}}
	*) fail "this server has no agent for $1. Build one from the source: CGO_ENABLED=0 go build ./cmd/kept-agent" ;;
	esac
}

download() {
	if has curl; then
		curl -fsSL -o "$2" "$1"
	elif has wget; then
		wget -q -O "$2" "$1"
	else
		fail "neither curl nor wget is here"
	fi
}

hash() {
	if has sha256sum; then
		sha256sum "$1" | cut -d ' ' -f 1
	elif has shasum; then
		shasum -a 256 "$1" | cut -d ' ' -f 1
	else
		sha256 -q "$1"
	fi
}

# Everything is in a function, so that half a script does nothing.
main() {
	dir=${KEPT_AGENT_DIR:-/usr/local/bin}
	mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ] || fail "$dir cannot be written. Run this as root: … | sudo sh"
	platform=$(platform)
	want=$(expected "$platform")
	new=$(mktemp "$dir/.kept-agent.XXXXXX")
	trap 'rm -f "$new"' EXIT
	download "$server/agent/kept-agent-$platform" "$new" || fail "$server does not hand it out"
	[ "$(hash "$new")" = "$want" ] || fail "what came is not what $server has: its SHA-256 differs"
	chmod 755 "$new"
	mv "$new" "$dir/kept-agent" # at once, also while the old one runs
	trap - EXIT
	echo "$("$dir/kept-agent" version) is installed in $dir."
	if [ $# -gt 0 ]; then
		token=$1
		shift
		"$dir/kept-agent" "$@" enrol "$server" "$token"
	elif has systemctl && systemctl is-active --quiet kept-agent; then
		systemctl restart kept-agent
		echo "It runs anew."
	fi
}

main "$@"
