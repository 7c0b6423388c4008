package queue

import (
	"bytes"
	"strconv"
)

const (
	// batchPuts is how many puts are written at once, unless they reach batchBytes earlier.
	// It is smaller than window, so that an unanswered put always remains to wait for.
	batchPuts  = 32
	batchBytes = 64 << 10
)

// putBuffer collects puts that are written together.
type putBuffer struct {
	data   []byte
	count  int    // complete commands in data
	unread int    // bytes that the current command still lacks
	record func() // called after each complete command
}

// putLength returns the length of the complete command that begins with p: a use command,
// if the tube changes, and a put with its body.
func putLength(p []byte) int {
	length := 0
	for line := range bytes.Lines(p) {
		length += len(line)
		if bytes.HasPrefix(line, []byte("put ")) {
			line = bytes.TrimSuffix(line, lineEnd)
			size, _ := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
			return length + size + len(lineEnd)
		}
	}
	return length
}
