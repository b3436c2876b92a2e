package identity

// HashRuns is how many password hashes were made or checked.
func (m *Module) HashRuns() int64 { return m.hasher.runs.Load() }

// AccountSubject and NetworkSubject are what failures are counted under.
func AccountSubject(email string) []byte {
	a, err := ParseAddress(email)
	if err != nil {
		panic(err)
	}
	return attempt{key: a.Key}.subjects()[scopeAccount]
}

func NetworkSubject(ip string) []byte { return attempt{ip: parseIP(ip)}.subjects()[scopeNetwork] }
