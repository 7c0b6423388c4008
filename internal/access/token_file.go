package access

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/internal/filelock"
)

// ErrNoToken means that the file has no token of that name.
var ErrNoToken = errors.New("no token has this name")

// ReadTokens returns the tokens in a file. It returns none if the file does not exist.
func ReadTokens(path string) ([]Token, error) {
	text, _, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := ParseTokens(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return list, nil
}

// AddToken appends a token's entry to a file, which it creates if necessary.
func AddToken(path string, t Token) error {
	return edit(path, func(text string) (string, error) {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		text += t.String() + "\n"
		_, err := ParseTokens(text)
		return text, err
	})
}

// RemoveToken removes the entry of a name from a file and keeps comments. It returns
// [ErrNoToken] if there is no such entry.
func RemoveToken(path, name string) error {
	return edit(path, func(text string) (string, error) {
		if _, err := ParseTokens(text); err != nil {
			return "", err
		}
		var kept strings.Builder
		for line := range strings.Lines(text) {
			words, _, _ := strings.Cut(line, "#")
			if fields := strings.Fields(words); len(fields) == 0 || fields[0] != name {
				kept.WriteString(line)
			}
		}
		if kept.Len() == len(text) {
			return "", fmt.Errorf("%w: %q", ErrNoToken, name)
		}
		return kept.String(), nil
	})
}

// edit replaces the content of a file atomically and syncs it. A lock on the folder makes
// concurrent edits wait, for at most five seconds.
func edit(path string, change func(text string) (string, error)) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	if err := filelock.Lock(folder, time.Now().Add(5*time.Second), 10*time.Millisecond); err != nil {
		return err
	}
	text, before, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if text, err = change(text); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := replace(path, text, before); err != nil {
		return err
	}
	return folder.Sync()
}

// replace writes a new file and renames it to path. It keeps the owner and lets no other
// user read it.
func replace(path, text string, before fs.FileInfo) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".tokens-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // fails harmlessly after the rename
	defer file.Close()
	if before != nil {
		if err := keepOwner(file, before); err != nil {
			return fmt.Errorf("%s: its owner cannot be kept: %w; run this as that user", path, err)
		}
	}
	if _, err := file.WriteString(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// keepOwner keeps the owner and group, so that the node can still read a file that root
// has changed.
func keepOwner(file *os.File, before fs.FileInfo) error {
	owner, ok := before.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	if err := file.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
		return err
	}
	return file.Chmod(before.Mode().Perm() &^ 0o007)
}
