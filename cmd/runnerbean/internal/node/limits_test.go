package node

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
)

func TestLimitsHoldSlots(t *testing.T) {
	t.Parallel()
	const most = math.MaxInt
	for _, test := range []struct {
		files, processes, slots int
		says                    string // about one slot more
	}{
		{64, most, 0, "a node with 1 slot needs 136 open files, 24 for each slot, and the limit is 64: raise the limit (ulimit -n, or LimitNOFILE in the systemd unit)"},
		{112, most, 0, "and the limit is 112"},
		{160, most, 2, "a node with 3 slots needs 184 open files, 24 for each slot, and the limit is 160: raise the limit (ulimit -n, or LimitNOFILE in the systemd unit), or set RUNNERBEAN_SLOTS to at most 2"},
		{1024, 40, 4, "a node with 5 slots needs 42 processes and threads, 2 for each slot, and the limit is 40: raise the limit (ulimit -u, or LimitNPROC or TasksMax in the systemd unit), or set RUNNERBEAN_SLOTS to at most 4"},
		{most, 0, 0, "processes and threads"},
		{most, most, api.MaxSlots, ""},
	} {
		l := limits{files: test.files, processes: test.processes, memory: math.MaxInt64, slotFiles: SlotFiles(1)}
		if n := l.slots(); n != test.slots {
			t.Errorf("%+v hold %d slots, want %d", l, n, test.slots)
		}
		if err := l.check(test.slots); err != nil && test.slots > 0 {
			t.Errorf("%+v: %v", l, err)
		}
		switch err := l.check(test.slots + 1); {
		case test.says == "" && err != nil, test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)):
			t.Errorf("%+v: %v, want %q", l, err, test.says)
		}
	}
	if err := (limits{files: 64, processes: most, slotFiles: SlotFiles(1)}).check(0); err == nil {
		t.Error("64 open files are enough for a node without slots")
	}
}

func TestMemoryOfTheCgroupIsComparedWithThatOfAllPrograms(t *testing.T) {
	t.Parallel()
	l := limits{memory: 4 << 30}
	for _, test := range []struct {
		slots int
		each  int64
		warns bool
	}{{0, 8 << 30, false}, {4, 1 << 30, false}, {4, 1<<30 + 1, true}, {5, 1 << 30, true}, {4, 0, false}, {1024, math.MaxInt64, true}} {
		if warning := l.memoryWarning(test.slots, test.each); (warning != "") != test.warns {
			t.Errorf("%d slots of %d bytes: %q", test.slots, test.each, warning)
		}
	}
}

func TestLimitsOfAllCgroupsAboveAreRead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for path, text := range map[string]string{
		"a/b/pids.max": "max\n", "a/pids.max": "77\n", "pids.max": "900\n",
		"a/b/memory.max": "-1\n", "a/memory.max": "99999999999999999999\n",
	} {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folders := slices.Collect(cgroupFolders(root, "12:cpu:/x\n0::/a/b\n"))
	if want := []string{root + "/a/b", root + "/a", root}; !slices.Equal(folders, want) {
		t.Errorf("folders %v, want %v", folders, want)
	}
	for i, want := range []int64{math.MaxInt64, 77, 900} {
		if n := readLimit(folders[i], "pids.max"); n != want {
			t.Errorf("%s: %d, want %d", folders[i], n, want)
		}
		if n := readLimit(folders[i], "memory.max"); n != math.MaxInt64 {
			t.Errorf("%s: %d bytes, want no limit", folders[i], n)
		}
	}
	for _, own := range []string{"", "1:cpu:/a\n", "0::relative\n"} {
		if folders := slices.Collect(cgroupFolders(root, own)); len(folders) > 0 {
			t.Errorf("%q: %v", own, folders)
		}
	}
	if folders := slices.Collect(cgroupFolders(root, "0::/../../b\n")); len(folders) > 0 {
		t.Errorf("folders outside of the root: %v", folders)
	}
}
