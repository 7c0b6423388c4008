package settings

import (
	"errors"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// putUnit makes a folder with the unit of a node and more files.
func putUnit(t *testing.T, unit string, more map[string]string) (folders []string) {
	t.Helper()
	folder := t.TempDir()
	files := map[string]string{ServiceName: unit}
	for name, text := range more {
		files[name] = strings.ReplaceAll(text, "@", folder)
	}
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "@", folder)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return []string{t.TempDir(), folder}
}

func TestFindService(t *testing.T) {
	t.Parallel()
	if s := FindService([]string{t.TempDir()}); s != nil {
		t.Errorf("found %+v", s)
	}
	folders := putUnit(t, "[Unit]\nDescription=x\n[Service]\nUser=beans\nStateDirectory=beans other\nExecStart=/bin/x worker\n"+
		"Environment=RUNNERBEAN_NODE=w1 \"RUNNERBEAN_DATA=/a b\"\nEnvironmentFile=-@/node.env\nEnvironmentFile=-/no/such/file\n",
		map[string]string{
			"node.env":                             "# c\nRUNNERBEAN_NODE='w2'\nRUNNERBEAN_TOKENS_FILE=@/tokens\n",
			ServiceName + ".d/10-more.conf":        "[Service]\nEnvironment=RUNNERBEAN_SLOTS=3\nUser=bean2\n",
			"other.service.d/ignored.conf":         "[Service]\nUser=nobody\n",
			ServiceName + ".d/ignored.conf.backup": "[Service]\nUser=nobody\n",
		})
	s := FindService(folders)
	if s == nil || s.User != "bean2" || len(s.Faults) > 0 {
		t.Fatalf("%+v", s)
	}
	for name, want := range map[string]string{"NODE": "w2", "DATA": "/a b", "SLOTS": "3", "TOKENS_FILE": folders[1] + "/tokens", "PREFIX": ""} {
		if got := s.Setting(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !slices.Contains(s.Variables, variable{"STATE_DIRECTORY", "/var/lib/beans"}) {
		t.Errorf("%v", s.Variables)
	}
}

// TestEnvironmentOfAService checks that only settings of root's environment remain.
func TestEnvironmentOfAService(t *testing.T) {
	t.Parallel()
	s := FindService(putUnit(t, "[Service]\nStateDirectory=beans\nEnvironment=RUNNERBEAN_NODE=w1 LANG=C.UTF-8 OTEL_X=1\n", nil))
	who := &user.User{Username: "beans", HomeDir: "/var/lib/beans"}
	got := s.environ(who, []string{
		"PATH=/bin", "LANG=de_DE", "HOME=/root", "USER=root", "SSH_AUTH_SOCK=/x", "AWS_SECRET_ACCESS_KEY=x",
		"RUNNERBEAN_NODE=w2", "RUNNERBEAN_URL=http://a", "RUNNERBEAN_TOKEN=t",
	})
	want := map[string]string{
		"PATH": "/bin", "LANG": "C.UTF-8", "HOME": "/var/lib/beans", "USER": "beans", "LOGNAME": "beans", "OTEL_X": "1",
		"STATE_DIRECTORY": "/var/lib/beans", "RUNNERBEAN_NODE": "w2", "RUNNERBEAN_URL": "http://a", "RUNNERBEAN_TOKEN": "t",
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestServiceOwnsNoTargetOfALink checks that GiveTo does not follow a link.
func TestServiceOwnsNoTargetOfALink(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	folder := t.TempDir()
	target, link := filepath.Join(folder, "target"), filepath.Join(folder, "link")
	if err := errors.Join(os.WriteFile(target, nil, 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	s := &Service{User: "nobody"}
	if err := s.GiveTo(link); err != nil {
		t.Fatal(err)
	}
	owner := func(path string) uint32 {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Uid
	}
	if owner(target) != 0 || owner(link) == 0 {
		t.Errorf("the target is of %d, the link of %d", owner(target), owner(link))
	}
}
