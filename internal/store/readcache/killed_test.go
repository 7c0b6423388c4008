//go:build unix

package readcache

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/store/bucket"
	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
)

// child copies an object until it is killed, or with a full disk. Its arguments are in the
// environment.
func child() {
	l, err := bucket.Parse(os.Getenv(childVar))
	if err != nil {
		panic(err)
	}
	b, err := bucket.Look(l)
	if err != nil {
		panic(err)
	}
	c, err := Open(b, Config{Folder: os.Getenv("READCACHE_TEST_FOLDER"), Limit: 64 << 20, Room: func() int64 { return 1 << 40 }})
	if err != nil {
		panic(err)
	}
	if os.Getenv("READCACHE_TEST_FULL") != "" {
		if err := readOnFullDisk(c, c.cfg.Folder); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	c.note(nameOf(key(1)), testSize)
	o, err := c.Get(context.Background(), key(1))
	if err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, o)
	select {}
}

// TestKilledWhileItCopies kills a process in the middle of a copy. Nothing of that may be read.
func TestKilledWhileItCopies(t *testing.T) {
	s := buckettest.Start(t)
	data := random(1, 2<<20)
	url, release := stalling(t, s, testSize)
	create(t, openBucket(t, s.URL), key(1), data)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+url, "READCACHE_TEST_FOLDER="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	until(t, "half of the object is there", func() bool {
		for _, name := range files(t, dir) {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Size() > testSize/2 {
				return strings.HasPrefix(name, tempPrefix)
			}
		}
		return false
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	release()
	c := openCache(t, openBucket(t, s.URL), Config{Folder: dir})
	if n := files(t, dir); len(n) > 0 || c.Stats().Bytes > 0 {
		t.Errorf("left: %v", n)
	}
	copied(t, c, key(1), data)
	read(t, c, key(1), data)
}
