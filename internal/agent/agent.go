// Package agent is kept-agent: it reads what a Linux host says of itself in /proc and /sys, under the metric names of
// node_exporter, and sends it to a Kept server by remote write 2.0. It links nothing of Prometheus and nothing of the server.
package agent
