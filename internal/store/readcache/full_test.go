//go:build unix

package readcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
)

// readOnFullDisk reads an object while no file can have more than 64 KiB.
func readOnFullDisk(c *Cache, dir string) error {
	signal.Ignore(unix.SIGXFSZ)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
		return err
	}
	for range 6 {
		o, err := c.Get(context.Background(), key(1))
		if err != nil {
			return err
		}
		got, err := io.ReadAll(o)
		if err = errors.Join(err, o.Close()); err != nil || string(got) != string(random(1, 2<<20)) {
			return fmt.Errorf("%d bytes: %w", len(got), err)
		}
	}
	c.copying.Wait()
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		return fmt.Errorf("left: %v, %w", left, err)
	}
	return nil
}

// TestFullDisk reads an object whose copy does not fit: a limit on the size of files fails in
// the middle of a write, as a full disk does.
func TestFullDisk(t *testing.T) {
	s := buckettest.Start(t)
	create(t, openBucket(t, s.URL), key(1), random(1, 2<<20))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+s.URL, "READCACHE_TEST_FOLDER="+t.TempDir(), "READCACHE_TEST_FULL=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
