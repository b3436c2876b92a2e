// Package ui is the face of Kept: the page layout, the components that pages
// are made of, and the scripts and styles they need.
//
// A feature package brings its own page templates and renders them through
// [Pages]; each page file defines "content" and may use every shared
// component, each of which is a template named "ui.…" fed by a struct of this
// package, or a template function. Pages work without JavaScript; htmx
// upgrades forms and links, and small custom elements enrich what the server
// has already drawn.
//
// The package knows nothing of sessions, rights or storage. Who is looking,
// and which navigation that person has, comes in through [Config.Frame].
package ui
