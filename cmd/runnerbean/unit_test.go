package main

import (
	"encoding/json"
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

// putUnit makes a folder of units with one of a node.
func putUnit(t *testing.T, unit string, more map[string]string) (folders []string) {
	t.Helper()
	folder := t.TempDir()
	files := map[string]string{serviceName: unit}
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
	if s := findService([]string{t.TempDir()}); s != nil {
		t.Errorf("found %+v", s)
	}
	folders := putUnit(t, "[Unit]\nDescription=x\n[Service]\nUser=beans\nStateDirectory=beans other\nExecStart=/bin/x worker\n"+
		"Environment=RUNNERBEAN_NODE=w1 \"RUNNERBEAN_DATA=/a b\"\nEnvironmentFile=-@/node.env\nEnvironmentFile=-/no/such/file\n",
		map[string]string{
			"node.env":                             "# c\nRUNNERBEAN_NODE='w2'\nRUNNERBEAN_TOKENS_FILE=@/tokens\n",
			serviceName + ".d/10-more.conf":        "[Service]\nEnvironment=RUNNERBEAN_SLOTS=3\nUser=bean2\n",
			"other.service.d/ignored.conf":         "[Service]\nUser=nobody\n",
			serviceName + ".d/ignored.conf.backup": "[Service]\nUser=nobody\n",
		})
	s := findService(folders)
	if s == nil || s.user != "bean2" || len(s.faults) > 0 {
		t.Fatalf("%+v", s)
	}
	for name, want := range map[string]string{"NODE": "w2", "DATA": "/a b", "SLOTS": "3", "TOKENS_FILE": folders[1] + "/tokens", "PREFIX": ""} {
		if got := s.setting(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if !slices.Contains(s.variables, variable{"STATE_DIRECTORY", "/var/lib/beans"}) {
		t.Errorf("%v", s.variables)
	}
}

// withoutSettings is the environment without those of a node.
func withoutSettings() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, envPrefix) })
}

// TestDoctorAsTheService checks with the rights of the service's user, for which
// root's folder is closed.
func TestDoctorAsTheService(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may become another user")
	}
	data := t.TempDir()
	if err := os.Chmod(filepath.Dir(data), 0o755); err != nil {
		t.Fatal(err)
	}
	folders := putUnit(t, "[Service]\nUser=nobody\nEnvironmentFile=@/node.env\n", map[string]string{
		"node.env": "RUNNERBEAN_DATA=" + data + "\nRUNNERBEAN_PROGRAMS=" + data + "\nRUNNERBEAN_BEANSTALKD=127.0.0.1:9\nRUNNERBEAN_SLOT=2\n",
	})
	p := newNode(t, "127.0.0.1:9")
	p.env = append(withoutSettings(), asRunnerbean+"=1", unitsIn+"="+strings.Join(folders, string(filepath.ListSeparator)))
	examined := func(args ...string) map[string]finding {
		t.Helper()
		out, log, code := p.client("", append([]string{"doctor", "--json"}, args...)...)
		var list []finding
		if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitError {
			t.Fatalf("exit code %d, %v\n%s%s", code, err, out, log)
		}
		found := map[string]finding{}
		for _, f := range list {
			found[f.Check] = f
		}
		return found
	}
	found := examined()
	if f := found["data folder"]; f.Status != "error" || !strings.Contains(f.Detail, "permission") {
		t.Errorf("root's data folder: %+v", f)
	}
	if f := found["service"]; f.Status != "ok" || !strings.Contains(f.Detail, "nobody") || !strings.Contains(f.Detail, "node.env") {
		t.Errorf("%+v", f)
	}
	if f := found["settings"]; f.Status != "warning" || !strings.Contains(f.Detail, "RUNNERBEAN_SLOTS") {
		t.Errorf("%+v", f)
	}
	_, credential, err := findService(folders).credential()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, int(credential.Uid), int(credential.Gid)); err != nil {
		t.Fatal(err)
	}
	// The same file by a path that is not the unit's.
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, filepath.Join(folders[1], "node.env"))
	if err != nil {
		t.Fatal(err)
	}
	found = examined("--env-file", relative)
	if f := found["data folder"]; f.Status != "ok" {
		t.Errorf("its own data folder: %+v", f)
	}
	if f := found["service"]; f.Status != "ok" {
		t.Errorf("with a relative path of its settings: %+v", f)
	}
}

// TestEnvironmentOfAService holds nothing of root's but settings.
func TestEnvironmentOfAService(t *testing.T) {
	t.Parallel()
	s := findService(putUnit(t, "[Service]\nStateDirectory=beans\nEnvironment=RUNNERBEAN_NODE=w1 LANG=C.UTF-8 OTEL_X=1\n", nil))
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

// TestServiceOwnsNoTargetOfALink: its user may put a link where root makes a file.
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
	s := &service{user: "nobody"}
	if err := s.own(link); err != nil {
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

func TestEnvFileOfAnyCommand(t *testing.T) {
	t.Parallel()
	p := newNode(t, "127.0.0.1:9")
	file := filepath.Join(t.TempDir(), "settings")
	if err := os.WriteFile(file, []byte("RUNNERBEAN_LEASE=never\nRUNNERBEAN_SLOTS=99999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, log, code := p.client("", "worker", "--env-file", file); code != exitUsage || !strings.Contains(log, "RUNNERBEAN_LEASE") || strings.Contains(log, "RUNNERBEAN_SLOTS") {
		t.Errorf("exit code %d, want the lease of the file and the slots of the environment: %s", code, log)
	}
	if _, log, code := p.client("", "list", "--env-file", file+".absent"); code != exitUsage || !strings.Contains(log, "--env-file") {
		t.Errorf("exit code %d: %s", code, log)
	}
	if out, log, code := p.client("", "--version"); code != 0 || !strings.HasPrefix(out, "runnerbean ") {
		t.Errorf("exit code %d: %s%s", code, out, log)
	}
}
