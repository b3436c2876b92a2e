package identity

// country is the ISO 3166 code of an address's network, or empty.
func (m *Module) country(ip string) string { return "" }
