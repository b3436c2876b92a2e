package notify

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// TestPushAsTheRFCHasIt is the example of RFC 8291, section 5: both keys and the salt are given.
func TestPushAsTheRFCHasIt(t *testing.T) {
	t.Parallel()
	raw := func(s string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	receiver := must(ecdh.P256().NewPrivateKey(raw("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")))(t)
	sender := must(ecdh.P256().NewPrivateKey(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")))(t)
	ph := &phone{key: receiver, auth: raw("BTBZMqHH6r4Tts7J_aSIgg")}
	example := raw("DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	plain, err := ph.decrypt(example)
	if err != nil || string(plain) != "When I grow up, I want to be a watermelon" {
		t.Fatalf("the test's own receiver reads %q, %v", plain, err)
	}
	sealed, err := encrypt(plain, ph.subscription("https://push.example/x"), func(b []byte) { copy(b, raw("DGv6ra1nlYgDCS1FRnbzlw")) }, sender)
	if err != nil || !bytes.Equal(sealed[:86], example[:86]) || !bytes.Equal(sealed[86:86+len(plain)], example[86:86+len(plain)]) {
		t.Fatalf("not what the RFC has, up to the padding: %v", err)
	}
	if again, err := ph.decrypt(sealed); err != nil || !bytes.Equal(again, plain) {
		t.Fatalf("%q, %v", again, err)
	}
}

// TestBrowsersThatAreGone: one that turned notifications off is forgotten, the others still get them.
func TestBrowsersThatAreGone(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		p := w.connect(t)
		c := w.setUp(t, "webpush")
		gone := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusGone) }))
		t.Cleanup(gone.Close)
		if err := w.Subscribe(t.Context(), w.ws, c.ID, w.account, newPhone(t).subscription(gone.URL+"/was-here-once")); err != nil {
			t.Fatal(err)
		}
		n := w.notifier(t, c.ID)
		for i := range 2 {
			w.Clock.Add(time.Second)
			if _, err := n.Notify(w.pipeline(t, "g"), w.firing("HostDown")); err != nil {
				t.Fatal(err)
			}
			if list, _ := w.browsers(t.Context(), c); len(list) != 1 {
				t.Fatalf("%d browsers after round %d", len(list), i)
			}
		}
		if text := w.deliveries(t, c)[1].Attempts[0].Text; !strings.Contains(text, "1 turned notifications off") {
			t.Error(text)
		}
		if len(p.all()) != 2 {
			t.Errorf("%+v", p.all())
		}
		for name, sub := range map[string]subscription{"no key": {Endpoint: "https://push.example/x"}, "inside": newPhone(t).subscription("http://169.254.169.254/x"),
			"scheme": newPhone(t).subscription("ftp://push.example/x")} {
			if err := w.Subscribe(t.Context(), w.ws, c.ID, w.account, sub); kernel.CodeOf(err) != kernel.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
