// Package remotewrite encodes Prometheus remote write 2.0 requests (io.prometheus.write.v2.Request), for agents that must
// stay small: it knows the one message that they send, not protobuf.
//
// https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/
package remotewrite
