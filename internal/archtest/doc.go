// Package archtest holds the rules about the code as a whole, as tests: who may
// import whom, what a package may keep in memory, what a file may contain. Each
// rule is a row of a table with the reason that a failure prints. A row that
// fits nothing any more fails as well, so that the tables stay true.
package archtest
