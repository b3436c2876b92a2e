package db

// SplitStatements is for tests.
var SplitStatements = splitStatements
