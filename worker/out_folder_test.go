package worker

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// output returns the list of files that a failed attempt left.
func (r *fixture) output(id string, attempt int) (out api.Output) {
	r.t.Helper()
	r.must(json.Unmarshal(r.object(store.OutputKey(id, attempt)), &out))
	return out
}

func names(files []jobs.Artifact) []string {
	list := []string{}
	for _, f := range files {
		list = append(list, f.Name)
	}
	return list
}

// TestOutputOfFailures checks that the files of a failed attempt are kept, and are not
// in a later result.
func TestOutputOfFailures(t *testing.T) {
	t.Parallel()
	const leaves = `mkdir out/deep; echo "of attempt $RUNNERBEAN_ATTEMPT" >out/deep/checkpoint.txt; ln -s /etc/passwd out/link
`
	for name, c := range map[string]struct {
		script string
		state  jobs.State
	}{
		"exit code":   {"exit 3", jobs.Failed},
		"said so":     {"exit 65", jobs.Failed},
		"no result":   {"echo Loading", jobs.Failed},
		"timeout":     {"exec sleep 600", jobs.Failed},
		"killed":      {"kill -KILL $$", jobs.Failed},
		"cancelled":   {`echo '{"message":"running"}' >&3; exec sleep 600`, jobs.Cancelled},
		"too much":    {"head -c 2000000 /dev/zero >out/zeros; echo 1", jobs.Failed},
		"folder gone": {"rm -r out; exit 3", jobs.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.Attempts, c.MaxFiles = 1, 1<<20 })
			r.install("p", leaves+c.script)
			r.start()
			j := job("p")
			if name == "timeout" {
				j.Timeout = jobs.Duration(500 * time.Millisecond)
			}
			id := r.submit(j)
			if c.state == jobs.Cancelled {
				r.awaitMessage(id)
				r.act(ledger.VerbCancel, id)
			}
			r.await(id, c.state)
			if name == "folder gone" {
				if r.has(store.OutputKey(id, 1)) {
					t.Error("there is a list of nothing")
				}
				return
			}
			out := r.output(id, 1)
			want := []jobs.Artifact{{
				Name: "deep/checkpoint.txt", Size: 13, URL: j.Result.URL + "/files/deep/checkpoint.txt?attempt=1",
				SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte("of attempt 1\n"))),
			}}
			if diff := cmp.Diff(want, out.Artifacts); diff != "" || out.Attempt != 1 {
				t.Error(diff)
			}
			left := map[string]string{}
			for _, l := range out.LeftOut {
				left[l.Name] = l.Reason
			}
			if left["link"] != "it is a symbolic link" || (name == "too much") != strings.Contains(left["zeros"], "larger than 1.0 MiB") {
				t.Errorf("left out: %v", left)
			}
			if text := r.object(store.FileKey(id, 1, "deep/checkpoint.txt")); string(text) != "of attempt 1\n" {
				t.Errorf("it holds %q", text)
			}
		})
	}
}

// TestOutputOfAttempts checks that the files of the newest attempts are kept, and are
// not in the result.
func TestOutputOfAttempts(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Attempts = 10 })
	r.install("p", `echo $RUNNERBEAN_ATTEMPT >out/f; echo x >out/only-$RUNNERBEAN_ATTEMPT; test $RUNNERBEAN_ATTEMPT = 6 || exit 1; echo 1`)
	r.start()
	id := r.submit(job("p"))
	r.await(id, jobs.Succeeded)
	if got := names(r.result(id).Artifacts); !slices.Equal(got, []string{"f", "only-6"}) {
		t.Errorf("the result has %q", got)
	}
	for n := 1; n <= 5; n++ {
		kept := n > 6-api.MaxOutputs
		if r.has(store.OutputKey(id, n)) != kept || r.has(store.FileKey(id, n, "f")) != kept {
			t.Errorf("attempt %d: list %v, file %v, want %v", n, r.has(store.OutputKey(id, n)), r.has(store.FileKey(id, n, "f")), kept)
		}
	}
	if text := string(r.object(store.FileKey(id, 5, "f"))); text != "5\n" {
		t.Errorf("the file of attempt 5 holds %q", text)
	}
}

// TestHostileOutput checks that everything that leads out of the folder is left out by
// name, and that the rest is kept.
func TestHostileOutput(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	secret := filepath.Join(r.dir, "secret")
	r.must(os.WriteFile(secret, []byte("of the node"), 0o644))
	r.install("p", fmt.Sprintf(`cd out
ln %s stolen; mkdir sub; ln %s sub/stolen
echo good >good; ln good sub/twin
ln -s ../.. sub/up; ln -s . loop; mkfifo sub/pipe
mknod null c 1 3 2>/dev/null
printf x >"$(printf 'two\nlines')"; printf x >"$(printf 'not\377utf8')"; printf x >"$(printf 'back\342\200\256gnp')"
long=$(printf 'd%%0200d' 0); mkdir -p "$long/$long"; echo x >"$long/$long/$long"; echo x >"$long/fits"
deep=.; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do deep=$deep/d; mkdir $deep; echo x >$deep/f; done
mkdir closed; echo x >closed/f; chmod 0 closed
echo 1`, secret, secret))
	r.start()
	id := r.submit(job("p"))
	r.await(id, jobs.Succeeded)
	got := r.result(id)
	kept := names(got.Artifacts)
	for _, name := range []string{"good", "sub/twin", "d/f", "closed/f"} {
		if !slices.Contains(kept, name) {
			t.Errorf("%s is not kept", name)
		}
	}
	left := map[string]string{}
	for _, l := range got.LeftOut {
		left[l.Name] = l.Reason
	}
	for name, want := range map[string]string{
		"stolen": "hard link", "sub/stolen": "hard link", "sub/up": "symbolic link", "loop": "symbolic link", "sub/pipe": "regular file",
		"two�lines": "characters", "not\ufffdutf8": "characters", "back�gnp": "characters", strings.Repeat("d/", 15) + "d": "16 deep",
	} {
		if !strings.Contains(left[name], want) {
			t.Errorf("%q is left out as %q, want %q", name, left[name], want)
		}
	}
	for _, name := range kept {
		if len(name) > 512 || strings.Contains(name, "stolen") || strings.ContainsAny(name, "\n\u202e\ufffd") || !filepath.IsLocal(name) {
			t.Errorf("%q is kept", name)
		}
		if bytes.Contains(r.object(store.FileKey(id, 1, name)), []byte("of the node")) {
			t.Errorf("%s holds what is not the program's", name)
		}
	}
}

// TestLeftOutIsBounded checks that a bounded number of files is named and the rest is
// counted.
func TestLeftOutIsBounded(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", `cd out; for i in $(seq 1 150); do ln -s x $i; done; echo 1`)
	r.start()
	id := r.submit(job("p"))
	r.await(id, jobs.Succeeded)
	left := r.result(id).LeftOut
	if len(left) != 101 || left[100] != (jobs.LeftOut{Reason: "50 more are not named here"}) {
		t.Errorf("%d, %+v", len(left), left[len(left)-1])
	}
}
