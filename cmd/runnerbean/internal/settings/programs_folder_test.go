package settings

import (
	"os"
	"path/filepath"
	"testing"
)

func TestDefaultPrograms(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	for name, c := range map[string]struct{ home, share, state, want string }{
		"a person":             {home: "/home/a", want: "/home/a/.local/share/runnerbean/programs"},
		"a person's choice":    {home: "/home/a", share: "/mine", want: "/mine/runnerbean/programs"},
		"not absolute":         {home: "/home/a", share: "mine", want: "/home/a/.local/share/runnerbean/programs"},
		"a person's service":   {home: "/home/a", state: "/home/a/.local/state/runnerbean", want: "/home/a/.local/share/runnerbean/programs"},
		"a service":            {home: "/home/a", state: "/var/lib/runnerbean", want: systemPrograms},
		"a user without home":  {want: systemPrograms},
		"a user of containers": {home: "/", want: systemPrograms},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", c.home)
			t.Setenv("XDG_DATA_HOME", c.share)
			t.Setenv("STATE_DIRECTORY", c.state)
			if got := defaultPrograms(data); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	t.Run("programs in the data folder", func(t *testing.T) {
		t.Setenv("HOME", "/home/a")
		old := filepath.Join(data, "programs")
		if err := os.MkdirAll(old, 0o755); err != nil {
			t.Fatal(err)
		}
		if got := defaultPrograms(data); got == old {
			t.Error("an empty folder is taken")
		}
		if err := os.WriteFile(filepath.Join(old, "upper"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if got := defaultPrograms(data); got != old {
			t.Errorf("%s, want %s", got, old)
		}
		share := t.TempDir()
		t.Setenv("XDG_DATA_HOME", share)
		folder := filepath.Join(share, "runnerbean", "programs")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if got := defaultPrograms(data); got != old {
			t.Errorf("%s, want %s: the new folder is empty", got, old)
		}
		if err := os.WriteFile(filepath.Join(folder, "lower"), nil, 0o755); err != nil {
			t.Fatal(err)
		}
		if got := defaultPrograms(data); got != folder {
			t.Errorf("%s, want %s: it holds programs, and a program may have made the other", got, folder)
		}
	})
}

func TestExposedPrograms(t *testing.T) {
	t.Parallel()
	data, link := t.TempDir(), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(data, link); err != nil {
		t.Fatal(err)
	}
	for programs, want := range map[string]bool{
		data: true, filepath.Join(data, "programs"): true, filepath.Join(data, "..programs"): true, link: true,
		filepath.Dir(data): false, data + "2": false, "/usr/local/lib/runnerbean/programs": false,
	} {
		s := Settings{Data: data, Programs: programs}
		if got := s.ExposedPrograms(); (got != "") != want {
			t.Errorf("%s: %q", programs, got)
		}
	}
}
