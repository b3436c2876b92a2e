package proof

// PasskeysAvailable tells whether people can use passkeys here.
func (m *Module) PasskeysAvailable() bool { return false }
