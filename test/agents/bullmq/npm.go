package bullmq

import (
	"embed"
	"testing"

	"github.com/kept-dev/kept/test/agents/npm"
)

//go:embed agent.mjs app.mjs victim.mjs
var program embed.FS

//go:embed package.json package-lock.json .npmrc
var manifest embed.FS

// nodeModules installs what the lock file names, and one package more if extra
// is not empty, unless an earlier run did. It returns the node_modules folder.
func nodeModules(t testing.TB, extra string) string {
	t.Helper()
	return npm.Modules(t, "bullmq", manifest, extra)
}
