// Package bullmq runs real BullMQ workers on a real Redis in Node, reported by
// the Jobviz agent, against any server that speaks the Jobviz protocol.
//
// It exists for tests: Start gives a fleet of replicas, Jobs says what the
// server must know once they are done. What the workers do is in app.mjs. Of
// the published npm package jobviz-agent only the protocol is needed, which
// agent.mjs speaks; set KEPT_JOBVIZ_AGENT to what npm can install (such as
// jobviz-agent@0.1.1, a folder or a tarball) to run that package instead.
package bullmq

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/testkit/external"
	"github.com/kept-dev/kept/internal/testkit/redistest"
)

// replicas is how many processes report at once. Each of them reports every
// event, so a server sees everything this many times.
const replicas = 2

// patience is how long anything may take on a busy machine.
const patience = 2 * time.Minute

// Fleet is some replicas of one program.
type Fleet struct {
	t        testing.TB
	replicas []*replica
	stop     sync.Once
}

// replica is one Node process; it ends when its standard input does.
type replica struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string // what it prints; closed at its end
}

// Start runs the fleet, which reports to the server at endpoint, a base URL,
// with an API key of at least ten characters. The replicas end with the test.
func Start(t testing.TB, endpoint, key string) *Fleet {
	t.Helper()
	dir, agent := install(t)
	env := append(os.Environ(),
		"JOBVIZ_ENDPOINT="+endpoint,
		"JOBVIZ_API_KEY="+key,
		"KEPT_AGENT="+agent,
		fmt.Sprintf("KEPT_REPLICAS=%d", replicas),
		"NODE_ENV=production",
		"REDIS_URL="+redistest.URL(t),
	)
	f := &Fleet{t: t}
	t.Cleanup(f.Stop)
	for i := range replicas {
		role := "KEPT_ROLE=other"
		if i == 0 {
			role = "KEPT_ROLE=first"
		}
		f.replicas = append(f.replicas, startReplica(t, dir, append(env[:len(env):len(env)], role)))
	}
	return f
}

func startReplica(t testing.TB, dir string, env []string) *replica {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, nodeProgram(t), "app.mjs")
	cmd.Dir, cmd.Env, cmd.Stderr = dir, env, t.Output()
	stdin, err := cmd.StdinPipe()
	external.Check(t, err)
	stdout, err := cmd.StdoutPipe()
	external.Check(t, err)
	external.Check(t, cmd.Start())
	r := &replica{cmd: cmd, stdin: stdin, lines: make(chan string, 16)}
	go func() {
		defer close(r.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	return r
}

// Wait returns when BullMQ has ended all jobs. The agents may still be about to
// report the last of it: ask the server again until it knows, then Stop.
func (f *Fleet) Wait() {
	f.t.Helper()
	for line := range f.replicas[0].lines {
		if line == "done" {
			return
		}
		f.t.Log(line)
	}
	f.t.Fatal("the replica that adds the jobs ended before they did")
}

// Stop ends the replicas as a deployment does: workers first, then the agent,
// which sends what it still holds. It may be called again.
func (f *Fleet) Stop() {
	f.stop.Do(func() {
		for _, r := range f.replicas {
			_ = r.stdin.Close()
		}
		for i, r := range f.replicas {
			for line := range r.lines { // all of it, before Wait closes the pipe
				f.t.Log(line)
			}
			if err := r.cmd.Wait(); err != nil {
				f.t.Errorf("replica %d: %v", i, err)
			}
		}
	})
}

func nodeProgram(t testing.TB) string {
	t.Helper()
	return external.Require(t, "node", "apt-get install nodejs npm (Node 18 or newer)")
}

// install returns a folder with the program and its npm packages, and what the
// program has to import as its agent. The packages are kept between runs.
func install(t testing.TB) (dir, agent string) {
	t.Helper()
	packages, agent := "", "./agent.mjs"
	if spec := os.Getenv("KEPT_JOBVIZ_AGENT"); spec != "" {
		packages, agent = nodeModules(t, spec), "jobviz-agent"
	} else {
		packages = nodeModules(t, "")
	}
	dir = t.TempDir()
	external.Check(t, os.CopyFS(dir, program))
	external.Check(t, os.Symlink(packages, filepath.Join(dir, "node_modules")))
	return dir, agent
}
