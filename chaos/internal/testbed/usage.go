package testbed

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Usage is what a process uses, from /proc.
type Usage struct {
	Resident, Peak int64 // memory in bytes
	threads        int
	Files          int // open descriptors
}

// ReadUsage returns the usage of a process.
func ReadUsage(pid int) (Usage, error) {
	var u Usage
	folder := "/proc/" + strconv.Itoa(pid)
	text, err := os.ReadFile(folder + "/status")
	if err != nil {
		return u, err
	}
	files, err := os.ReadDir(folder + "/fd")
	if err != nil {
		return u, err
	}
	u.Files = len(files)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch key {
		case "VmRSS":
			u.Resident = n << 10
		case "VmHWM":
			u.Peak = n << 10
		case "Threads":
			u.threads = int(n)
		}
	}
	if u.Resident == 0 {
		err = fmt.Errorf("process %d has no memory", pid)
	}
	return u, err
}
