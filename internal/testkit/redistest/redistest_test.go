package redistest_test

import (
	"bufio"
	"fmt"
	"net"
	"net/url"
	"testing"

	"github.com/kept-dev/kept/internal/testkit/redistest"
)

// say sends one inline command after the password and returns the answer's first line.
func say(t *testing.T, server, command string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	password, _ := u.User.Password()
	if _, err := fmt.Fprintf(conn, "AUTH %s\r\n%s\r\n", password, command); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for range 2 {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		command = line
	}
	return command
}

func TestServersAreEmptyAndApart(t *testing.T) {
	t.Parallel()
	one, two := redistest.URL(t), redistest.URL(t)
	if got := say(t, one, "SET here 1"); got != "+OK\r\n" {
		t.Errorf("SET answers %q", got)
	}
	if got := say(t, two, "DBSIZE"); got != ":0\r\n" {
		t.Errorf("DBSIZE of the other server = %q, want 0", got)
	}
}

func TestServerEndsWithTheTest(t *testing.T) {
	t.Parallel()
	var server string
	t.Run("user", func(t *testing.T) { server = redistest.URL(t) })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("tcp", u.Host); err == nil {
		conn.Close()
		t.Error("the server still listens after its test")
	}
}
