package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestStampProgram checks that the program is the one without a shell where it can be, and
// that it prints the time.
func TestStampProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "stamp")
	if err := installStamp(path); err != nil {
		t.Fatal(err)
	}
	installed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := stampProgram(runtime.GOOS, runtime.GOARCH); want != nil && string(installed) != string(want) {
		t.Error("the program does not run here; a script takes its place")
	}
	before := time.Now().UnixNano()
	printed, err := exec.Command(path).Output()
	after := time.Now().UnixNano()
	if err != nil {
		t.Fatal(err)
	}
	at, err := strconv.ParseInt(strings.TrimSpace(string(printed)), 10, 64)
	if err != nil || at < before || at > after {
		t.Errorf("the program printed %q, and ran between %d and %d: %v", printed, before, after, err)
	}
}
