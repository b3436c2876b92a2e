# What the scripts of this folder share. Each begins with: . "$(dirname "$0")/lib.sh"
# KEPT and PROMETHEUS may name binaries that are there already.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
started=

finish() {
	for pid in $started; do kill "$pid" 2>/dev/null || true; done
	for pid in $started; do wait "$pid" 2>/dev/null || true; done
	chmod -R u+w "$work"
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# start NAME COMMAND... runs a program that ends with the script; its log is $work/NAME.log.
start() {
	_log=$work/$1.log
	shift
	"$@" >"$_log" 2>&1 &
	started="$! $started"
}

# ready URL LOG waits until an address answers, as long as the program that was started last lives.
ready() {
	i=0
	until curl -fsS "$1" >/dev/null 2>&1; do
		i=$((i + 1))
		kill -0 "${started%% *}" 2>/dev/null && [ $i -lt 300 ] || { tail -20 "$2"; exit 1; }
		sleep 0.1
	done
}

# build_kept sets $kept.
build_kept() {
	kept=${KEPT:-$work/kept}
	[ -x "$kept" ] || (cd "$root" && CGO_ENABLED=0 go build -o "$kept" ./cmd/kept)
}

# serve_kept NAME PORT [FLAG...] starts a server with a workspace, and sets $url, $key and $workspace.
serve_kept() {
	_name=$1 _port=$2
	shift 2
	"$kept" setup --data "$work/$_name" --email suite@example.com --password "a long enough password" --json >"$work/$_name.json" 2>/dev/null
	key=$(sed -n 's/.*"api_key":"\([^"]*\)".*/\1/p' "$work/$_name.json")
	workspace=$(sed -n 's/.*"workspace_id":"\([^"]*\)".*/\1/p' "$work/$_name.json")
	url=http://127.0.0.1:$_port
	start "$_name" "$kept" serve --data "$work/$_name" --addr "127.0.0.1:$_port" "$@"
	ready "$url/readyz" "$work/$_name.log"
}

# build_prometheus sets $prometheus: the server of the version that Kept is built with, without service discovery.
build_prometheus() {
	prometheus=${PROMETHEUS:-$work/prometheus}
	[ ! -x "$prometheus" ] || return 0
	mkdir "$work/build"
	sed '1s/.*/module build/' "$root/go.mod" >"$work/build/go.mod"
	cp "$root/go.sum" "$work/build"
	(cd "$work/build" && GOFLAGS=-mod=mod go build -tags remove_all_sd -o "$prometheus" github.com/prometheus/prometheus/cmd/prometheus)
}

# serve_prometheus NAME PORT CONFIG [FLAG...] starts one that takes remote write.
serve_prometheus() {
	_name=$1 _port=$2 _config=$3
	shift 3
	start "$_name" "$prometheus" --config.file="$_config" --storage.tsdb.path="$work/$_name" --storage.tsdb.retention.time=365d \
		--web.listen-address="127.0.0.1:$_port" --web.enable-remote-write-receiver --enable-feature=exemplar-storage "$@"
	ready "http://127.0.0.1:$_port/-/ready" "$work/$_name.log"
}

# suite NAME copies a folder of Prometheus's compliance tests to $work/suite.
suite() {
	git clone -q https://github.com/prometheus/compliance "$work/compliance"
	git -C "$work/compliance" checkout -q 67b8327a2e93
	cp -R "$work/compliance/$1" "$work/suite"
}
