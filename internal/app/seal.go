package app

import (
	"github.com/kept-dev/kept/internal/core/privacy"
	"github.com/kept-dev/kept/internal/platform/seal"
)

// sealModule gives the table of wrapped keys its place among the modules.
type sealModule struct{ *seal.Keys }

func (sealModule) Name() string { return "seal" }

// Collections declares the keys (SEC-4, RET-8). Destroying one is what erases its workspace, backups included.
func (m sealModule) Collections() []privacy.Collection {
	return []privacy.Collection{{
		Name: "workspace_keys", Module: m.Name(), Title: "Data keys of workspaces", Subjects: "nobody",
		Purpose: "to encrypt what customers store", Where: privacy.ControlDB, Promises: []string{"SEC-4", "RET-8"},
		Retention: "until the workspace is erased; that there was a key is remembered",
		NoExport:  "a key is worth something only to somebody who must not have it",
		NoErase:   "erasing the workspace destroys the key and leaves the row, so that no new key is made by mistake",
		Fields: []privacy.Field{
			{Name: "workspace", Category: privacy.Technical},
			{Name: "wrapped", Category: privacy.Secret, Note: "the key, encrypted with the instance key"},
			{Name: "created_at", Category: privacy.Technical},
			{Name: "rotated_at", Category: privacy.Technical},
			{Name: "shredded_at", Category: privacy.Technical, Note: "when the key was destroyed"},
		},
	}}
}
