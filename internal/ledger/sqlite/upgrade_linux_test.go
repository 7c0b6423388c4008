package sqlite

import (
	"context"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/stracetest"
)

// openEnv makes the test binary open a ledger, and so upgrade it.
const openEnv = "SQLITE_TEST_OPEN"

func TestMain(m *testing.M) {
	path := os.Getenv(openEnv)
	if path == "" {
		os.Exit(m.Run())
	}
	runtime.LockOSThread() // strace counts the calls of each thread by itself
	db, err := Open(context.Background(), path, Options{})
	if err == nil {
		err = db.Close()
	}
	fmt.Println("opened:", err)
}

// largeLedger makes a ledger of schema 4 with 200 nodes, whose copy takes many writes.
func largeLedger(t *testing.T) string {
	t.Helper()
	path := ledgerAt(t, 4)
	exec(t, path, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
		INSERT INTO nodes (instance, name, base_url, version, slots, started, beat, left_at, programs)
		SELECT 'i' || i, 'n' || i, '', '', 1, 1, 0, 1, hex(zeroblob(2000)) FROM n`, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := other(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	others.Delete(path)
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// opener returns a command that opens a ledger in another process.
func opener(t *testing.T, path string) *osexec.Cmd {
	t.Helper()
	cmd := osexec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), openEnv+"="+path)
	return cmd
}

// Killed at any step, an upgrade leaves the whole old ledger or the whole new one, and the
// next start completes it.
func TestUpgradeKilledAtAnyStepIsDoneByTheNextStart(t *testing.T) {
	t.Parallel()
	strace, err := osexec.LookPath("strace")
	if err != nil {
		t.Fatalf("%v: install the package strace", err)
	}
	for step, c := range map[string]struct {
		file, call string
		before     int // the version that the kill leaves
	}{
		"copy begun":      {".schema-4.part", "openat:when=1", 4},
		"copy half made":  {".schema-4.part", "pwrite64:when=40", 4},
		"copy made":       {".schema-4.part", "fsync:when=1", 4},
		"copy synced":     {".schema-4.part", "renameat:when=1", 4},
		"first change":    {"-wal", "pwrite64:when=2", 4},
		"log synced":      {"-wal", "fdatasync,fsync:when=2", Schema()},
		"log in the file": {"", "pwrite64:when=1", Schema()},
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			path := largeLedger(t)
			cmd := opener(t, path)
			names, when, _ := strings.Cut(c.call, ":")
			log := filepath.Join(t.TempDir(), "strace")
			args := []string{strace, "-f", "-qq", "-e", "trace=" + names, "-P", path + c.file, "-e", "inject=" + names + ":signal=KILL:" + when, "-o", log, cmd.Path}
			cmd.Path, cmd.Args = strace, args
			if out, err := cmd.CombinedOutput(); err == nil {
				calls, _ := os.ReadFile(log)
				t.Fatalf("it was not killed: %s\n%s", out, calls)
			}
			if got := number(t, path, "SELECT version FROM schema_version"); got != c.before {
				t.Errorf("the kill left schema %d, want %d", got, c.before)
			}
			if out, err := opener(t, path).CombinedOutput(); err != nil || string(out) != "opened: <nil>\n" {
				t.Fatalf("%v: %s", err, out)
			}
			if v, n := number(t, path, "SELECT version FROM schema_version"), number(t, path, "SELECT COUNT(*) FROM nodes"); v != Schema() || n != 200 {
				t.Errorf("schema %d with %d nodes, want %d with 200", v, n, Schema())
			}
			backupHas(t, path, 4, 200)
		})
	}
}

// Without room for the copy nothing is upgraded.
func TestUpgradeIsRefusedWithoutRoomForTheCopy(t *testing.T) {
	t.Parallel()
	path := largeLedger(t)
	printed, hit := stracetest.Inject(t, opener(t, path), BackupPath(path, 4)+".part", "pwrite64:error=ENOSPC:when=5+")
	if !hit || !strings.Contains(printed, "the copy "+BackupPath(path, 4)+" cannot be made, and nothing was upgraded") || !strings.Contains(printed, "make room for it") {
		t.Errorf("%t, %s", hit, printed)
	}
	unchanged(t, path, 4)
}
