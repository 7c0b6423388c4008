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
	// lookEvery is the shortest time between two checks of the files.
	lookEvery = time.Second
	maxFile   = 1 << 20 // bytes
)

// watchedFile is a value parsed from files, which it reloads after they change. If a
// reload fails, it logs the error once and keeps the old value.
type watchedFile[T any] struct {
	paths   []string
	parse   func(contents []string) (T, error)
	setting string // names the files in messages
	public  int    // how many of the first files are not secret
	log     *slog.Logger

	value  atomic.Pointer[T]
	looked atomic.Int64 // time of the last check, in Unix nanoseconds

	mu   sync.Mutex
	seen []fs.FileInfo
	said string // the last error that was logged
}

// open reads the files for the first time and returns any error.
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

// get returns the newest value. At most one caller in lookEvery checks the files; the
// others do not wait.
func (w *watchedFile[T]) get() T {
	now, last := time.Now().UnixNano(), w.looked.Load()
	if now-last >= int64(lookEvery) && w.looked.CompareAndSwap(last, now) {
		w.look()
	}
	return *w.value.Load()
}

// look reloads the files if they have changed.
func (w *watchedFile[T]) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.changed() {
		return
	}
	w.read("read again after a change")
}

// reload reads the files now, and logs what has come of it.
func (w *watchedFile[T]) reload() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.said = ""
	w.read("read again")
}

// read reads the files and logs success, or a fault that is not in the log already. The
// caller holds the lock.
func (w *watchedFile[T]) read(success string) {
	contents, seen, err := readAll(w.paths)
	w.seen = seen
	if err == nil {
		err = w.take(contents)
	}
	if err == nil {
		w.said = ""
		w.log.Info(success, "setting", w.setting)
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

// warnReadable logs a warning if every user can read a secret file. It is no error,
// because a container may mount its secrets that way and has no other users.
func (w *watchedFile[T]) warnReadable() {
	for i, info := range w.seen {
		if i >= w.public && info.Mode().Perm()&0o004 != 0 {
			w.log.Warn("everybody on this machine can read this file: chmod o-r", "setting", w.setting, "file", w.paths[i])
		}
	}
}

// errWritable means that another user may have written the file.
var errWritable = errors.New("others than its owner can write it: chmod go-w")

// readAll reads files and returns their state from before the read, so that the next
// check notices a change during the read.
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
