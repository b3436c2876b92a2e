// Package kernel holds the few words that every other package speaks: identifiers, the clock, errors that are safe to
// show, and list cursors. It imports the standard library only and knows nothing of HTTP, SQL or any app.
package kernel
