package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
)

// usage is what a process uses, as /proc tells it.
type usage struct {
	resident, peak int64 // memory in bytes
	threads        int
	files          int // open descriptors
}

func usageOf(pid int) (usage, error) {
	var u usage
	folder := "/proc/" + strconv.Itoa(pid)
	text, err := os.ReadFile(folder + "/status")
	if err != nil {
		return u, err
	}
	files, err := os.ReadDir(folder + "/fd")
	if err != nil {
		return u, err
	}
	u.files = len(files)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			continue
		}
		switch key {
		case "VmRSS":
			u.resident = n << 10
		case "VmHWM":
			u.peak = n << 10
		case "Threads":
			u.threads = int(n)
		}
	}
	if u.resident == 0 {
		err = fmt.Errorf("process %d has no memory", pid)
	}
	return u, err
}

// zombies counts the dead children that a process has not waited for.
func zombies(pid int) (n int) {
	processes, _ := os.ReadDir("/proc")
	for _, p := range processes {
		text, err := os.ReadFile("/proc/" + p.Name() + "/stat")
		if err != nil {
			continue
		}
		// The name in brackets may hold anything.
		_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
		words := strings.Fields(rest)
		if len(words) > 1 && words[0] == "Z" && words[1] == strconv.Itoa(pid) {
			n++
		}
	}
	return n
}

// ask reads a page of a node, as JSON into a value where there is one.
func (r *rig) ask(ctx context.Context, n *node, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+path, nil)
	if err != nil {
		return err
	}
	status, body := answer(req)
	if status != http.StatusOK && status != http.StatusAccepted {
		return fmt.Errorf("%s: status %d %.300s", path, status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}
