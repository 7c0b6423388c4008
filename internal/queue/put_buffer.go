package queue

import (
	"bytes"
	"strconv"
)

const (
	// group is how many puts are sent at once, unless they reach groupBytes before.
	// It is less than a window, so that there is always an answer to wait for.
	group      = 32
	batchBytes = 64 << 10
)

// putBuffer collects puts that are sent together.
type putBuffer struct {
	data   []byte
	count  int    // of whole commands in data
	unread int    // bytes that the command in hand still lacks
	record func() // told after every whole command
}

// putLength is the length of the whole command whose beginning p is: a use, if
// the tube changes, and a put with its body.
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
