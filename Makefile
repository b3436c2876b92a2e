# `make test` is all that a change must pass. CONTRIBUTING.md has the rest.

.PHONY: test quick demo build agents assets clean

# Everything: installs what the tests need where it may, then runs each check
# of tools/check. Some ten minutes on two cores.
test:
	@./scripts/install-tools.sh
	@go build -o .cache/check ./tools/check
	@.cache/check

# What finds most mistakes in least time, while you work.
quick:
	@go run ./tools/check -step format,vet,test -race=false

demo:
	@go run ./cmd/kept demo

# The programs that are installed, without what only debuggers read.
build: agents
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ ./cmd/kept ./cmd/kept-agent

# The agents that a server beside them hands out to hosts of these platforms.
agents:
	@for p in linux-amd64 linux-arm64 linux-arm darwin-amd64 darwin-arm64 freebsd-amd64 windows-amd64; do \
		suffix=; [ $${p%-*} = windows ] && suffix=.exe; \
		CGO_ENABLED=0 GOOS=$${p%-*} GOARCH=$${p#*-} go build -trimpath -ldflags '-s -w' -o bin/agents/kept-agent-$$p$$suffix ./cmd/kept-agent || exit 1; \
	done

# The committed scripts and styles of the pages, from their sources.
assets:
	@go run ./tools/assets

clean:
	rm -rf .cache bin
