package node

import (
	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/publisher"
)

// What a node needs of the files that it may open, apart from HTTP: ledger,
// beanstalkd, webhooks and the like, and for each slot the program's pipes, its
// inputs and outputs, and what is waiting for the disk.
const (
	OwnFiles  = 96
	SlotFiles = 24
	// RoomyFiles is what doctor wants to be left for HTTP.
	RoomyFiles = 1024
)

// OpenFiles is how many files the process may have open at one time.
func OpenFiles() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024 // the least that is usual
	}
	return int(min(limit.Cur, 1<<30))
}

// HTTPConnections is how many connections HTTP may have, where so many files
// may be open: what the work leaves, but a quarter of all even if that is less.
// An eighth of that is for the files that are sent.
func HTTPConnections(files, slots int) int {
	left := max(files-OwnFiles-slots*SlotFiles, files/4)
	return min(max(left*7/8, 8), publisher.MaxConnections)
}
