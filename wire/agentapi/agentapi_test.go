package agentapi

import (
	"encoding/json"
	"strings"
	"testing"
)

func sane() Host {
	return Host{ID: "0123456789abcdef", Instance: "web-1", Name: "web-1", OS: "linux", Cores: 2, Labels: map[string]string{"env": "prod"}}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	ok := sane()
	if err := ok.Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Host){
		"id":       func(h *Host) { h.ID = "../../etc/passwd" },
		"short":    func(h *Host) { h.ID = "12" },
		"instance": func(h *Host) { h.Instance = "" },
		"name":     func(h *Host) { h.Name = "" },
		"long":     func(h *Host) { h.Kernel = strings.Repeat("x", maxText+1) },
		"control":  func(h *Host) { h.Name = "a\nb" },
		"utf8":     func(h *Host) { h.Platform = "\xff" },
		"negative": func(h *Host) { h.Memory = -1 },
		"label":    func(h *Host) { h.Labels[""] = "x" },
	} {
		h := sane()
		if spoil(&h); h.Check() == nil {
			t.Errorf("%s passes", name)
		}
	}
}

func FuzzCheck(f *testing.F) {
	text, _ := json.Marshal(sane())
	f.Add(text)
	f.Fuzz(func(t *testing.T, text []byte) {
		var h Host
		if json.Unmarshal(text, &h) != nil || h.Check() != nil {
			return
		}
		if len(h.Instance) > maxText || h.Instance == "" || len(h.Labels) > maxLabels {
			t.Errorf("passes: %q", text)
		}
	})
}
