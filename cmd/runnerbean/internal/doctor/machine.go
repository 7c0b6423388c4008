package doctor

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/dustin/go-humanize"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker"
)

// checkFolder makes sure that a file can be made, synced and removed there.
func checkFolder(check, folder, setting string) Finding {
	do := "make it writable for the user that runs the node, or set " + setting
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return Finding{check, "error", err.Error(), do}
	}
	file, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		return Finding{check, "error", err.Error(), do}
	}
	defer os.Remove(file.Name())
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return Finding{check, "error", err.Error(), do}
	}
	return Finding{check, "ok", folder + " can be written", ""}
}

func checkDisk(set settings.Settings) Finding {
	const check = "disk"
	low := 4 * int64(set.MinFree)
	s, err := store.Open(set.Store)
	if err != nil {
		return Finding{check, "error", err.Error(), "fix RUNNERBEAN_STORE"}
	}
	defer s.Close()
	free, err := s.Free()
	switch {
	case err != nil:
		return Finding{check, "warning", err.Error(), ""}
	case free < low:
		return Finding{check, "warning", humanize.IBytes(uint64(max(free, 0))) + " free for results", "make room, or set RUNNERBEAN_STORE to a larger disk"}
	}
	return Finding{check, "ok", humanize.IBytes(uint64(max(free, 0))) + " free for results", ""}
}

// checkOpenFiles says whether there are enough for HTTP beside the work.
func checkOpenFiles(set settings.Settings) Finding {
	const check = "open files"
	files := node.OpenFiles()
	detail := fmt.Sprintf("%d may be open at one time; HTTP takes %d connections beside %d slots", files, node.HTTPConnections(files, set.Slots), set.Slots)
	if files < node.OwnFiles+set.Slots*node.SlotFiles+node.RoomyFiles {
		return Finding{check, "warning", detail, "raise the limit (ulimit -n, or LimitNOFILE in the systemd unit)"}
	}
	return Finding{check, "ok", detail, ""}
}

// checkIsolation says what keeps programs within bounds.
func checkIsolation() Finding {
	return Finding{"isolation", "ok", worker.Isolation(), ""}
}

func checkSystem() Finding {
	const check = "system"
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if runtime.GOOS != "linux" {
		return Finding{check, "warning", platform + ": programs that leave their process group, or outlive a killed node, are not ended", "run nodes on Linux"}
	}
	if os.Geteuid() == 0 {
		return Finding{check, "warning", "programs run as root, as this user does", "run the node as a user of its own"}
	}
	return Finding{check, "ok", platform, ""}
}
