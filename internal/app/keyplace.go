package app

import "path/filepath"

// keyFile is the file with the instance key, unless the operator hands the key in.
func (a *App) keyFile() string { return filepath.Join(a.dataDir(), "instance.key") }

// keyPlace says where the instance key comes from, for the start-up log.
func (a *App) keyPlace() string {
	if a.cfg.InstanceKey != "" {
		return "from the environment or the configuration"
	}
	return a.keyFile()
}
