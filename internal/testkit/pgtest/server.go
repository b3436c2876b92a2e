package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kept-dev/kept/internal/testkit/external"
)

// oldest is the first PostgreSQL release that Kept supports.
const oldest = 15

// Server is a throw-away PostgreSQL.
type Server struct {
	URL     string // of its maintenance database, as a superuser
	process *external.Process
}

// Stop ends the server and removes its files.
func (s *Server) Stop() { s.process.Stop() }

// Start makes a cluster in a temporary directory and serves it on 127.0.0.1.
// It keeps nothing safe (fsync is off) and is gone when this process ends. The
// error is external.ErrMissing when no PostgreSQL is installed.
func Start(ctx context.Context) (*Server, error) {
	programs, err := find(ctx)
	if err != nil {
		return nil, err
	}
	cred, err := unprivileged()
	if err != nil {
		return nil, err
	}
	for {
		s, err := programs.start(ctx, cred)
		if errors.Is(err, errPortTaken) && ctx.Err() == nil {
			continue
		}
		return s, err
	}
}

// installation is the directory with initdb and postgres.
type installation string

// find takes the newest release of those that Debian and Ubuntu install, which
// keep the server programs out of PATH, and the one that PATH has.
func find(ctx context.Context) (installation, error) {
	const hint = "apt-get install postgresql (15 or newer; see https://www.postgresql.org/download/linux/ for older systems)"
	best, found := 0, installation("")
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if path, err := exec.LookPath("postgres"); err == nil {
		candidates = append(candidates, path)
	}
	for _, path := range candidates {
		dir := filepath.Dir(path)
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
			continue
		}
		if v := major(ctx, path); v > best {
			best, found = v, installation(dir)
		}
	}
	if best < oldest {
		return "", external.Missing(fmt.Sprintf("PostgreSQL %d", oldest), hint)
	}
	return found, nil
}

// major reads "postgres (PostgreSQL) 15.14 (Debian …)"; 0 means unknown.
func major(ctx context.Context, postgres string) int {
	out, err := exec.CommandContext(ctx, postgres, "--version").Output()
	if err != nil {
		return 0
	}
	_, version, _ := strings.Cut(string(out), "(PostgreSQL) ")
	digits := strings.FieldsFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	n, _ := strconv.Atoi(digits[0])
	return n
}

// unprivileged returns whom to run the server as. PostgreSQL refuses root;
// nil means as ourselves.
func unprivileged() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errU := strconv.ParseUint(u.Uid, 10, 32)
		gid, errG := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(errU, errG); err != nil {
			return nil, fmt.Errorf("ids of user %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}

// errPortTaken means that another program took the port between our choice
// and the server's start.
var errPortTaken = errors.New("port taken")

func (in installation) start(ctx context.Context, cred *syscall.Credential) (*Server, error) {
	dir, err := os.MkdirTemp("", "kept-pg-")
	if err != nil {
		return nil, fmt.Errorf("directory for PostgreSQL: %w", err)
	}
	password := rand.Text()
	if err := prepare(dir, password, cred); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	port, err := external.FreePort()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	process, err := external.Start(dir, "QUIT", cred, "/bin/sh", in.command(dir, port)...)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{URL: "postgres://kept:" + password + "@127.0.0.1:" + port + "/postgres?sslmode=disable", process: process}
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// serve makes the cluster and then is the server. Both in one process, so that
// the leash holds both.
const serve = `
initdb=$1
shift
"$initdb" --pgdata=data --username=kept --pwfile=password --auth=password \
	--encoding=UTF8 --no-locale --no-sync --no-instructions && exec "$@"
`

// command trades every guarantee for speed, and allows for many test packages
// with pools of their own.
func (in installation) command(dir, port string) []string {
	return []string{
		"-c", serve, "serve", filepath.Join(string(in), "initdb"),
		filepath.Join(string(in), "postgres"), "-D", "data",
		"-c", "listen_addresses=127.0.0.1", "-c", "port=" + port, "-c", "unix_socket_directories=" + dir,
		"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB", "-c", "max_wal_size=256MB", "-c", "jit=off",
	}
}

// prepare writes the superuser's password where initdb reads it. It will travel
// in clear, which is cheap and over loopback no matter; without a password any
// local user would be superuser here.
func prepare(dir, password string, cred *syscall.Credential) error {
	file := filepath.Join(dir, "password")
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("password of PostgreSQL: %w", err)
	}
	if cred == nil {
		return nil
	}
	uid, gid := int(cred.Uid), int(cred.Gid)
	if err := errors.Join(os.Chown(file, uid, gid), os.Chown(dir, uid, gid)); err != nil {
		return fmt.Errorf("owner of %s: %w", dir, err)
	}
	return nil
}

// ready waits until the server answers to our password, which only ours does.
func (s *Server) ready(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := execSQL(ctx, s.URL, "SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-s.process.Ended():
			return ended(s.process.Log())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer: %w\n%s", err, s.process.Log())
		case <-tick.C:
		}
	}
}

// ended tells a port that was taken, which another try mends, from real trouble.
func ended(log string) error {
	if strings.Contains(log, "Address already in use") {
		return errPortTaken
	}
	return fmt.Errorf("PostgreSQL ended at once:\n%s", log)
}
