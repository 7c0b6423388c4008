package main

import (
	"fmt"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// checkOpenFiles says whether there are enough for HTTP beside the work.
func checkOpenFiles(set settings.Settings) finding {
	const check = "open files"
	files := node.OpenFiles()
	detail := fmt.Sprintf("%d may be open at one time; HTTP takes %d connections beside %d slots", files, node.HTTPConnections(files, set.Slots), set.Slots)
	if files < node.OwnFiles+set.Slots*node.SlotFiles+node.RoomyFiles {
		return finding{check, "warning", detail, "raise the limit (ulimit -n, or LimitNOFILE in the systemd unit)"}
	}
	return finding{check, "ok", detail, ""}
}
