// Package e2e holds the proofs that take a whole Kept and real programs around it: what agents report is what people
// see, and what was acknowledged survives the death of the server. It has tests only.
package e2e
