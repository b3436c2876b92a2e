package db

// Flag is how a column of the type FLAG holds a truth: 1 or 0 on both engines.
func Flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
