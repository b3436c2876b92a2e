package main

import (
	"os/exec"
	"strings"
	"testing"
)

const (
	passes = `{"Action":"run","Package":"p","Test":"T/a"}
{"Action":"pass","Package":"p","Test":"T/a"}
{"Action":"pass","Package":"p","Test":"T"}
{"Action":"pass","Package":"p"}`
	fails = `{"Action":"run","Package":"p","Test":"T/a"}
{"Action":"output","Package":"p","Test":"T/a","Output":"too late\n"}
{"Action":"fail","Package":"p","Test":"T/a"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}`
)

func TestAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second string
		failed        int
		unsteady      bool
	}{
		"passes the second time":     {first: fails, second: passes, unsteady: true},
		"fails twice":                {first: fails, second: fails, failed: 1},
		"nothing ran again":          {first: fails, second: `{"Action":"pass","Package":"p"}`, failed: 1},
		"a race is final":            {first: strings.ReplaceAll(fails, "too late", "WARNING: DATA RACE"), second: passes, failed: 1},
		"a panic is final":           {first: strings.ReplaceAll(fails, "too late", "panic: nil"), second: passes, failed: 1},
		"a package that did not run": {first: `{"Action":"fail","Package":"p"}`, second: passes, failed: 1},
		"many are no accident": {first: fails + strings.ReplaceAll(strings.Join([]string{"", fails, fails, fails, fails, fails}, "\n"), `"p"`, `"q"`),
			second: passes, failed: 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sum := newTally(true)
			failed, err := readTests(exec.Command("echo", c.first), sum)
			if err != nil {
				t.Fatal(err)
			}
			var asked []string
			if err := again(failed, sum, func(pkg, pattern string) *exec.Cmd {
				asked = append(asked, pkg+" "+pattern)
				return exec.Command("echo", c.second)
			}); err != nil {
				t.Fatal(err)
			}
			if sum.failed != c.failed || (len(sum.unsteady) == 1) != c.unsteady {
				t.Errorf("%d failed, unsteady %v", sum.failed, sum.unsteady)
			}
			if c.unsteady && (len(asked) != 1 || asked[0] != "p ^T$/^a$") {
				t.Errorf("asked for %q", asked)
			}
		})
	}
}
