package kept

import (
	"encoding/json"
	"testing"
)

func TestTimestampsHaveFractions(t *testing.T) {
	t.Parallel()
	for us, want := range map[millis]string{1772000000000000: "1772000000000", 1772000000000123: "1772000000000.123", 1772000000000007: "1772000000000.007"} {
		if got, err := json.Marshal(us); string(got) != want || err != nil {
			t.Errorf("%d: %s, %v", us, got, err)
		}
	}
}
