package bus

import "testing"

func FuzzDecode(f *testing.F) {
	f.Add(encode("topic", []byte("payload")))
	f.Add("YQ !")
	f.Fuzz(func(t *testing.T, text string) {
		topic, payload, ok := decode(text)
		if !ok {
			return
		}
		again, same, ok := decode(encode(topic, payload))
		if !ok || again != topic || string(same) != string(payload) {
			t.Errorf("%q does not survive a round trip", text)
		}
	})
}
