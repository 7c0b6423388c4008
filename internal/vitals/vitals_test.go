package vitals

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/shirou/gopsutil/v4/cpu"
	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/api"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := New(Config{Places: []Place{{dir, "data", 5, nil}}, Power: dir})
	begun := time.Now().Add(-time.Millisecond)
	v := c.Read(t.Context())
	if v.At.Before(begun) || v.CPUs < 1 || v.CPU < 0 || v.CPU > 1 || v.MemoryTotal < 1<<20 ||
		v.MemoryAvailable <= 0 || v.MemoryAvailable > v.MemoryTotal || v.Battery != nil || v.Load[0] < 0 {
		t.Errorf("%+v", v)
	}
	if len(v.Disks) != 1 || v.Disks[0].Path != dir || v.Disks[0].Free > v.Disks[0].Total || v.Disks[0].Total <= 0 || v.Disks[0].Floor != 5 {
		t.Errorf("%+v", v.Disks)
	}
	if text, err := json.Marshal(v); err != nil || len(text) > 2<<10 {
		t.Errorf("%d bytes: %v", len(text), err)
	}
}

func TestReadBySeveral(t *testing.T) {
	t.Parallel()
	c := New(Config{})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				if v := c.Read(t.Context()); v.At.IsZero() {
					t.Error("nothing was read")
				}
			}
		})
	}
	group.Wait()
}

// TestWhatDoesNotAnswer checks that Read does not wait for a disk that hangs, that only
// one measurement waits for it, and that the disk is measured again when it answers. A
// pipe without a writer stands for the disk.
func TestWhatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	power := t.TempDir()
	pipe := filepath.Join(power, "BAT0", "type")
	fill(t, power, "BAT0", map[string]string{"capacity": "50"})
	c := New(Config{Power: power})
	first := c.Read(t.Context())
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	one := c.look()
	for range 5 {
		if v := c.Read(ended); !v.At.Equal(first.At) {
			t.Errorf("it read %+v", v)
		}
	}
	if c.look() != one {
		t.Error("there is a second look while the first is under way")
	}
	w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(pipe); err != nil { // the open pipe stays readable
		t.Fatal(err)
	}
	fill(t, power, "BAT0", map[string]string{"type": "Battery"})
	if _, err := w.WriteString("Battery"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	<-one
	if v := c.Read(ended); v.Battery == nil || v.Battery.Charge != 0.5 || !v.At.After(first.At) {
		t.Errorf("%+v", v)
	}
}

func TestInUse(t *testing.T) {
	t.Parallel()
	before := cpu.TimesStat{User: 10, System: 5, Idle: 100, Iowait: 1, Guest: 3}
	for _, c := range []struct {
		now  cpu.TimesStat
		want float64
	}{
		{cpu.TimesStat{User: 12, System: 6, Idle: 108, Iowait: 2, Guest: 5}, 0.25},
		{cpu.TimesStat{User: 14, System: 5, Idle: 100, Iowait: 1}, 1},
		{before, 0},
		{cpu.TimesStat{User: 1}, 0}, // the machine was restored from a snapshot
	} {
		if got := inUse(before, c.now); got != c.want {
			t.Errorf("%+v: %v", c.now, got)
		}
	}
}

func TestDisksOfOneFileSystem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "other")
	if err := os.Mkdir(other, 0o700); err != nil {
		t.Fatal(err)
	}
	places := []Place{
		{Path: dir, Use: "data", Floor: 7},
		{Path: filepath.Join(dir, "absent"), Use: "store", Floor: 9},
		{Path: other, Use: "ledger", Floor: 8, Reusable: func() int64 { return 3 }},
		{Path: "/proc", Use: "programs"},
	}
	list := disks(places)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	if d := list[0]; d.Path != dir || d.Use != "data, ledger" || d.Floor != 8 || d.Reusable != 3 {
		t.Errorf("%+v", d)
	}
	if d := list[1]; d.Path != "/proc" || d.Use != "programs" || d.Reusable != 0 {
		t.Errorf("%+v", d)
	}
	if none := disks(nil); none == nil || len(none) != 0 {
		t.Errorf("%#v", none)
	}
	if !SameDisk(dir, other) || SameDisk(dir, "/proc") || SameDisk(dir, filepath.Join(dir, "absent")) {
		t.Error("what is on one file system is mistaken")
	}
}

func fill(t *testing.T, power, name string, files map[string]string) {
	t.Helper()
	dir := filepath.Join(power, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBattery(t *testing.T) {
	t.Parallel()
	type supplies map[string]map[string]string
	for name, c := range map[string]struct {
		supplies supplies
		want     *api.Battery
	}{
		"none":   {supplies{"AC": {"type": "Mains", "online": "1"}}, nil},
		"mouse":  {supplies{"hid-1": {"type": "Battery", "scope": "Device", "capacity": "10", "status": "Discharging"}}, nil},
		"full":   {supplies{"BAT0": {"type": "Battery", "capacity": "100", "status": "Full"}}, &api.Battery{Charge: 1, Charging: true}},
		"in use": {supplies{"BAT0": {"type": "Battery", "capacity": "25", "status": "Discharging"}}, &api.Battery{Charge: 0.25}},
		"two, by size": {supplies{
			"BAT0": {"type": "Battery", "capacity": "100", "status": "Not charging", "energy_full": "10000000"},
			"BAT1": {"type": "Battery", "capacity": "0", "status": "Discharging", "energy_full": "30000000"},
		}, &api.Battery{Charge: 0.25}},
		"above all":  {supplies{"BAT0": {"type": "Battery", "capacity": "104", "status": "Charging"}}, &api.Battery{Charge: 1, Charging: true}},
		"unreadable": {supplies{"BAT0": {"type": "Battery", "capacity": "much"}}, nil},
	} {
		power := t.TempDir()
		for supply, files := range c.supplies {
			fill(t, power, supply, files)
		}
		if diff := cmp.Diff(c.want, battery(power)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if b := battery(filepath.Join(t.TempDir(), "absent")); b != nil {
		t.Errorf("%+v", b)
	}
}

func BenchmarkRead(b *testing.B) {
	c := New(Config{Places: []Place{{"/", "data", 0, nil}, {"/tmp", "scratch", 0, nil}}})
	for b.Loop() {
		c.Read(b.Context())
	}
}
