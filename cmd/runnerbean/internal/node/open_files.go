package node

import (
	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/publisher"
)

// These are the files that a node opens besides those of HTTP, and the least for HTTP.
const (
	OwnFiles  = 96
	httpFiles = 16
	// RoomyFiles is what doctor wants to remain for HTTP.
	RoomyFiles = 1024
)

// SlotFiles returns how many files a slot needs, with a number of beanstalkd servers: each
// of its two executors has a connection to each server.
func SlotFiles(servers int) int { return 22 + 2*servers }

// OpenFiles returns how many files the process may have open at the same time.
func OpenFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // the usual limit
	}
	return int(min(limit.Cur, 1<<30))
}

// HTTPConnections returns how many connections HTTP may have: all files that the jobs
// leave, but at least a quarter of all files. An eighth of these is reserved for the
// files that HTTP sends.
func HTTPConnections(files, slots, servers int) int {
	left := max(files-OwnFiles-slots*SlotFiles(servers), files/4)
	return min(max(left*7/8, 8), publisher.MaxConnections)
}
