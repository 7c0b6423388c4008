package node

import (
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// Reload reads tokens, keys, certificate and programs again, and logs what has come of
// each. What has a fault changes nothing. It may be called at any time.
func (n *Node) Reload() {
	n.log.Info("tokens, keys, certificate and programs are read again", "node", n.set.Node)
	n.publisher.Reload()
	if n.set.TokenFile != "" {
		n.reloadToken()
	}
	n.worker.Reload()
}

// reloadToken reads the file of the one operator's token again.
func (n *Node) reloadToken() {
	token, err := settings.ReadTokenFile(n.set.TokenFile)
	if err == nil {
		err = n.publisher.SetToken(token)
	}
	if err != nil {
		n.log.Error("cannot be used; what it said before stays in force", "setting", "RUNNERBEAN_TOKEN_FILE", "err", err)
		return
	}
	n.log.Info("read again", "setting", "RUNNERBEAN_TOKEN_FILE")
}
