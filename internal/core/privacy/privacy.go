// Package privacy is the core that makes a privacy policy checkable: the promise registry, the data map (which
// collections of data exist, why, for how long, who else sees them), the checks that look at the live schema and data,
// and the retention sweep. Other modules hand it their Collections; it imports none of them.
package privacy
