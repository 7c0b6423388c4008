package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func init() {
	children["try"] = func() error { return TryFolder(os.Getenv("STORE_TEST_DIR")) }
}

// TestTryFolder tries a good folder, and file systems that lack something: the system call
// fails, or succeeds and does nothing.
func TestTryFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := TryFolder(dir); err != nil {
		t.Fatal(err)
	}
	if err := TryFolder(filepath.Join(dir, "absent")); err == nil {
		t.Error("a folder that is not there is good")
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("%v: install the package strace", err)
	}
	for inject, want := range map[string]string{
		"linkat:error=EPERM:when=1":  "no hard links",
		"linkat:retval=0:when=2":     "a hard link replaces",
		"linkat:error=EINVAL:when=2": "a name that is taken",
		"renameat:error=EEXIST":      "a rename does not replace",
		"renameat:retval=0":          `reads "first"`,
		"flock:error=ENOLCK:when=1":  "cannot be locked",
		"flock:retval=0:when=2":      "two processes lock",
		"fsync:error=EINVAL":         "invalid argument",
		"mkdirat:error=EROFS":        "read-only",
	} {
		call, _, _ := strings.Cut(inject, ":")
		cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace="+call, "-e", "inject="+inject, os.Args[0])
		cmd.Env = append(os.Environ(), childVar+"=try", "STORE_TEST_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, %s; want %q", inject, err, out, want)
		}
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}
