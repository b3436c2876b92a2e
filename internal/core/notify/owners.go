package notify

import "github.com/kept-dev/kept/internal/kernel"

// Owners is the channel that every workspace has before anybody has set one up: mail to its owners and admins. Notifier
// knows it; Channels need not list it.
const Owners kernel.ID = "owners"
