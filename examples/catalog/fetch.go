package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// fetch keeps the part that the node has fetched, so that a repeated parse fetches nothing again.
// The node has checked its digest. What is no text at all, such as a page of a proxy, is refused.
func fetch(p place) error {
	var c chunk
	if err := decode(p.stdin, "the input", &c); err != nil {
		return err
	}
	path := filepath.Join(p.inputs, "packages")
	size, lines, err := count(path)
	if err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(p.out, "packages")); err != nil {
		return err
	}
	return encode(p.stdout, map[string]any{"chunk": c.ID, "bytes": size, "lines": lines})
}

// count counts the bytes and lines of a file of text.
func count(path string) (size, lines int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := file.Read(buffer)
		if size == 0 && n > 0 && buffer[0] == '<' || bytes.IndexByte(buffer[:n], 0) >= 0 {
			return 0, 0, fmt.Errorf("%w: what was fetched is no package list", errData)
		}
		size, lines = size+int64(n), lines+int64(bytes.Count(buffer[:n], []byte("\n")))
		if err == io.EOF {
			return size, lines, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}
