package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/stracetest"
)

const answer = "it is safe"

func init() { children["creator"] = createOne }

// createOne creates one object and says so.
func createOne() error {
	s, err := Open(context.Background(), os.Getenv("STORE_TEST_DIR"))
	if err != nil {
		return err
	}
	defer s.Close()
	s.disk().unnamed = s.disk().unnamed && os.Getenv("STORE_TEST_WAY") == "unnamed"
	if err := s.Create(context.Background(), ResultKey(id1), []byte("body")); err != nil {
		return err
	}
	fmt.Println(answer)
	return nil
}

// What Create answers for survives a power cut: the content is on the disk
// before it has its name, and the name before the answer; so is the name of the
// folder, which was new.
func TestSyncedBeforeAnswer(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"unnamed", "temporary"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childVar+"=creator", "STORE_TEST_DIR="+dir, "STORE_TEST_WAY="+way)
			checkOrder(t, stracetest.Run(t, cmd, "write", "fsync", "linkat", "mkdirat"), filepath.Join(dir, filepath.Dir(ResultKey(id1))))
		})
	}
}

func checkOrder(t *testing.T, calls []stracetest.Call, folder string) {
	t.Helper()
	at := 0
	// next finds the first call that began after the end of the one before.
	next := func(what string, is func(stracetest.Call) bool) stracetest.Call {
		t.Helper()
		for _, c := range calls {
			if c.Begin > at && c.OK() && is(c) {
				at = c.End
				return c
			}
		}
		t.Errorf("not in its place: %s", what)
		return stracetest.Call{}
	}
	next("the folder is made", func(c stracetest.Call) bool {
		return c.Name == "mkdirat" && strings.HasSuffix(c.Args, fmt.Sprintf("%q, 0750", filepath.Base(folder)))
	})
	next("the folder's own name is synced", func(c stracetest.Call) bool {
		return c.Name == "fsync" && c.On(filepath.Dir(folder))
	})
	body := next("the content is written", func(c stracetest.Call) bool {
		return c.Name == "write" && strings.Contains(c.Args, `"body"`)
	})
	file, _, _ := strings.Cut(body.Args, ",")
	next("the content is synced", func(c stracetest.Call) bool { return c.Name == "fsync" && c.Args == file })
	next("the object gets its name", func(c stracetest.Call) bool {
		return c.Name == "linkat" && strings.Contains(c.Args, filepath.Base(ResultKey(id1)))
	})
	next("the name is synced", func(c stracetest.Call) bool { return c.Name == "fsync" && c.On(folder) })
	next("the answer", func(c stracetest.Call) bool { return c.Name == "write" && strings.Contains(c.Args, answer) })
}
