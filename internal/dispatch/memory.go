package dispatch

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryOf is what a server's process has in memory, in bytes; 0 unless it runs
// on this machine. What a server says of itself is not enough to believe so.
func memoryOf(host string, pid int) int64 {
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
	fields := strings.Fields(string(text)) // pages: total, resident, …
	if len(fields) < 2 {
		return 0
	}
	return integer(fields[1]) * int64(os.Getpagesize())
}
