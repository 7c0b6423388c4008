package dispatch

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// serverRSS returns the resident memory of a beanstalkd process in bytes. It
// returns 0 unless the process runs on this machine, which the host and pid that a
// server reports do not prove.
func serverRSS(host string, pid int) int64 {
	own, err := os.Hostname()
	if err != nil || host != own || pid <= 0 {
		return 0
	}
	folder := filepath.Join("/proc", strconv.Itoa(pid))
	name, err := os.ReadFile(filepath.Join(folder, "comm"))
	if err != nil || strings.TrimSpace(string(name)) != "beanstalkd" {
		return 0
	}
	text, err := os.ReadFile(filepath.Join(folder, "statm"))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text)) // in pages: total, resident, and more
	if len(fields) < 2 {
		return 0
	}
	return integer(fields[1]) * int64(os.Getpagesize())
}
