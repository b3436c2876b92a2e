package jobs

import "net/http"

func (m *Module) queuesPage(w http.ResponseWriter, r *http.Request) error     { return nil }
func (m *Module) settingsPage(w http.ResponseWriter, r *http.Request) error   { return nil }
func (m *Module) changeSettings(w http.ResponseWriter, r *http.Request) error { return nil }
