// Package httpx is the edge of the server: the route table and who may use it, sessions' cookies, the content security
// policy, cross-origin protection, rate-limit classes, problem+json, the access log with secrets redacted, and the one
// table in which error codes meet HTTP statuses. Modules hand it Routes; it knows nothing of what they do.
package httpx
