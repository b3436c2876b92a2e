package jobs

// buildPages parses the app's page templates.
func (m *Module) buildPages() error { return nil }
