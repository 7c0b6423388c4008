package access

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lookEvery is how often a file is looked at, at most.
	lookEvery = time.Second
	maxFile   = 1 << 20 // bytes
)

// watchedFile is what files say. It reads them again when they have changed; what
// cannot be read or used changes nothing and is logged once.
type watchedFile[T any] struct {
	paths   []string
	parse   func(contents []string) (T, error)
	setting string // that names the files, for messages
	public  int    // so many of the first files are no secret
	log     *slog.Logger

	value  atomic.Pointer[T]
	looked atomic.Int64 // when, in nanoseconds

	mu   sync.Mutex
	seen []fs.FileInfo
	said string // the last error
}

// open reads the files for the first time; then an error is the caller's.
func (w *watchedFile[T]) open() error {
	if w.log == nil {
		w.log = slog.Default()
	}
	w.looked.Store(time.Now().UnixNano())
	contents, seen, err := readAll(w.paths)
	if err == nil {
		err = w.take(contents)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.setting, err)
	}
	w.seen = seen
	w.warnReadable()
	return nil
}

func (w *watchedFile[T]) take(contents []string) error {
	value, err := w.parse(contents)
	if err != nil {
		return fmt.Errorf("%s: %w", w.paths[0], err)
	}
	w.value.Store(&value)
	return nil
}

// get is the newest value. It is cheap, and waits for nobody.
func (w *watchedFile[T]) get() T {
	now, last := time.Now().UnixNano(), w.looked.Load()
	if now-last >= int64(lookEvery) && w.looked.CompareAndSwap(last, now) {
		w.look()
	}
	return *w.value.Load()
}

// look reads the files if they are others than before.
func (w *watchedFile[T]) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.changed() {
		return
	}
	contents, seen, err := readAll(w.paths)
	w.seen = seen
	if err == nil {
		err = w.take(contents)
	}
	if err == nil {
		w.said = ""
		w.log.Info("read again after a change", "setting", w.setting)
		w.warnReadable()
		return
	}
	if w.said != err.Error() {
		w.said = err.Error()
		w.log.Error("cannot be used; what it said before stays in force", "setting", w.setting, "err", err)
	}
}

func (w *watchedFile[T]) changed() bool {
	for i, path := range w.paths {
		now, err := os.Stat(path)
		if err != nil || i >= len(w.seen) {
			return true
		}
		before := w.seen[i]
		if !os.SameFile(now, before) || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) || now.Mode() != before.Mode() {
			return true
		}
	}
	return false
}

// warnReadable warns if other users can read a secret. That is no error, because a
// container may mount its secrets this way and has no other users.
func (w *watchedFile[T]) warnReadable() {
	for i, info := range w.seen {
		if i >= w.public && info.Mode().Perm()&0o004 != 0 {
			w.log.Warn("everybody on this machine can read this file: chmod o-r", "setting", w.setting, "file", w.paths[i])
		}
	}
}

// errWritable is a file that somebody else may have written.
var errWritable = errors.New("others than its owner can write it: chmod go-w")

// readAll reads files and tells what they were before they were read, so that
// a change meanwhile is seen at the next look.
func readAll(paths []string) (contents []string, seen []fs.FileInfo, err error) {
	for _, path := range paths {
		text, info, err := readFile(path)
		if err != nil {
			return nil, seen, err
		}
		contents, seen = append(contents, text), append(seen, info)
	}
	return contents, seen, nil
}

func readFile(path string) (string, fs.FileInfo, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", nil, err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return "", nil, fmt.Errorf("%s: %w", path, errWritable)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: more than %d bytes", path, maxFile)
	}
	return string(text), info, err
}
