package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() {
	children["limited"] = createWithLimit
	children["tmpfs"] = createOnFullDisk
}

// A limit on the size of files fails in the middle of a write, as a full disk
// does, and needs no rights.
func TestFileSizeLimit(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"unnamed", "temporary"} {
		cmd := fullChild(t, "limited", way)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", way, err, out)
		}
	}
}

// A file system that is really full, in a name space of the child's own.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"unnamed", "temporary"} {
		cmd := fullChild(t, "tmpfs", way)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL) {
			t.Logf("no name spaces here (%v); TestFileSizeLimit has to do", err)
			return
		} else if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v\n%s", way, err, out.Bytes())
		}
		t.Log(out.String())
	}
}

func fullChild(t *testing.T, name, way string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+name, "GORACE=atexit_sleep_ms=0", "STORE_TEST_DIR="+t.TempDir(), "STORE_TEST_WAY="+way)
	return cmd
}

func createWithLimit() error {
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
		return err
	}
	return refuseThenTake(os.Getenv("STORE_TEST_DIR"), func() error { return nil }, 100<<10)
}

func createOnFullDisk() error {
	dir := os.Getenv("STORE_TEST_DIR")
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		fmt.Println("cannot mount:", err)
		return nil
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 900<<10), 0o600); err != nil {
		return err
	}
	return refuseThenTake(dir, func() error { return os.Remove(ballast) }, 300<<10)
}

// refuseThenTake tries an object that has no room, then makes room and tries a
// small one.
func refuseThenTake(dir string, makeRoom func() error, size int) error {
	s, err := Open(context.Background(), dir)
	if err != nil {
		return err
	}
	s.disk().unnamed = s.disk().unnamed && os.Getenv("STORE_TEST_WAY") == "unnamed"
	ctx, key := context.Background(), ResultKey(id1)
	if err := s.Create(ctx, key, make([]byte, size)); !errors.Is(err, ErrFull) {
		return fmt.Errorf("create on a full disk: %v", err)
	}
	if err := s.Replace(ctx, LogKey(id1, 1), make([]byte, size)); !errors.Is(err, ErrFull) {
		return fmt.Errorf("replace on a full disk: %v", err)
	}
	if _, err := s.Open(ctx, key); !errors.Is(err, ErrNotExist) {
		return fmt.Errorf("something is left: %v", err)
	}
	if entries, err := fs.ReadDir(s.disk().root.FS(), s.disk().temp.path); err != nil || len(entries) > 0 {
		return fmt.Errorf("temporary files are left: %v, %v", entries, err)
	}
	if err := makeRoom(); err != nil {
		return err
	}
	if err := s.Create(ctx, key, []byte("{}")); err != nil {
		return err
	}
	return s.Close()
}
