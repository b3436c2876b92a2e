package access

// NewKeyText makes the text of a key.
func NewKeyText() string { text, _ := newSecret(keyPrefix); return text }

// Pending is how many uses wait to be written.
func (m *Module) Pending() int {
	m.seenKeys.mu.Lock()
	defer m.seenKeys.mu.Unlock()
	return len(m.seenKeys.at)
}
