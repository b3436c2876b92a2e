package notify

import (
	"testing"
)

// TestSignatureIsWhatOthersCompute: the expected one was made by
//
//	printf '%s' '1700000000.{"alerts":[]}' | openssl dgst -sha256 -hmac secret-of-the-channel
func TestSignatureIsWhatOthersCompute(t *testing.T) {
	t.Parallel()
	const want = "2ca46126ebb022f3dae63414cea7a0ae74250824eb3707b2db121a0dc816beb2"
	if got := Sign("secret-of-the-channel", "1700000000", []byte(`{"alerts":[]}`)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
