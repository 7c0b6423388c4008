package program

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// binfmtFolder lists the formats that the kernel runs by an interpreter, such as an
// emulator of another processor.
const binfmtFolder = "/proc/sys/fs/binfmt_misc"

// takenByKernel reports whether the kernel has an interpreter for files that begin
// with head.
func takenByKernel(head []byte) bool {
	list, err := os.ReadDir(binfmtFolder)
	if err != nil {
		return false
	}
	for _, entry := range list {
		if name := entry.Name(); name != "register" && name != "status" {
			text, err := os.ReadFile(filepath.Join(binfmtFolder, name))
			if err == nil && binfmtMatches(string(text), head) {
				return true
			}
		}
	}
	return false
}

// binfmtMatches reports whether format, a file in binfmtFolder, is for files that
// begin with head.
func binfmtMatches(format string, head []byte) bool {
	var offset int
	var magic, mask []byte
	enabled := false
	for line := range strings.Lines(format) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch key {
		case "enabled":
			enabled = true
		case "offset":
			offset, _ = strconv.Atoi(value)
		case "magic":
			magic, _ = hex.DecodeString(value)
		case "mask":
			mask, _ = hex.DecodeString(value)
		}
	}
	if !enabled || len(magic) == 0 || offset < 0 || offset+len(magic) > len(head) {
		return false
	}
	part := bytes.Clone(head[offset : offset+len(magic)])
	for i := range min(len(mask), len(part)) {
		part[i] &= mask[i]
		magic[i] &= mask[i]
	}
	return bytes.Equal(part, magic)
}

func onNoexec(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Flags&unix.ST_NOEXEC != 0
}
