package stracetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got := parse(`11 openat(3</d>, "a)", O_RDONLY) = 4</d/a>
12 fsync(5</d> <unfinished ...>
11 write(1<pipe:[7]>, "done\n", 5)      = 5
12 <... fsync resumed>)                   = -1 EIO (Input/output error)
13 +++ exited with 0 +++
11 linkat(4</d/#9 (deleted)>, <unfinished ...>
`)
	want := []Call{
		{Thread: "11", Name: "openat", Args: `3</d>, "a)", O_RDONLY`, Result: "4</d/a>", Begin: 0, End: 0},
		{Thread: "11", Name: "write", Args: `1<pipe:[7]>, "done\n", 5`, Result: "5", Begin: 2, End: 2},
		{Thread: "12", Name: "fsync", Args: "5</d>", Result: "-1 EIO (Input/output error)", Begin: 1, End: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
	if c := got[2]; !c.On("/d") || c.On("/") || c.OK() {
		t.Errorf("%+v", c)
	}
}
