//go:build unix

package filelock

import (
	"errors"
	"os"
	"testing"
	"time"
)

func TestLock(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *os.File {
		f, err := os.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	first, second := open(), open()
	if err := Try(first); err != nil {
		t.Fatal(err)
	}
	if err := Try(second); !errors.Is(err, ErrHeld) {
		t.Errorf("try of a held lock: %v, want ErrHeld", err)
	}
	if err := Lock(second, time.Now().Add(10*time.Millisecond), time.Millisecond); !errors.Is(err, ErrHeld) {
		t.Errorf("lock until the deadline: %v, want ErrHeld", err)
	}
	if err := Unlock(first); err != nil {
		t.Fatal(err)
	}
	if err := Lock(second, time.Time{}, time.Hour); err != nil {
		t.Errorf("lock after the other's unlock: %v", err)
	}
	second.Close()
	if err := Try(first); err != nil {
		t.Errorf("lock after the other's close: %v", err)
	}
	first.Close()
	if err := Try(first); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("try on a closed file: %v, want another error", err)
	}
}
