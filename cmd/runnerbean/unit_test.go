package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// TestDoctorAsTheService checks with the rights of the service's user, for which
// root's folder is closed.
func TestDoctorAsTheService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may become another user")
	}
	t.Setenv(asRunnerbean, "1")
	data := t.TempDir()
	if err := os.Chmod(filepath.Dir(data), 0o755); err != nil {
		t.Fatal(err)
	}
	folders := putUnit(t, "[Service]\nUser=nobody\nEnvironmentFile=@/node.env\n", map[string]string{
		"node.env": "RUNNERBEAN_DATA=" + data + "\nRUNNERBEAN_PROGRAMS=" + data + "\nRUNNERBEAN_BEANSTALKD=127.0.0.1:9\nRUNNERBEAN_SLOT=2\n",
	})
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, envPrefix) {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	for _, name := range []string{"DATA", "PROGRAMS", "BEANSTALKD", "SLOT"} {
		t.Setenv(envPrefix+name, "") // so that the test's end takes away what the file sets
		os.Unsetenv(envPrefix + name)
	}
	examined := func() map[string]finding {
		t.Helper()
		var out, log bytes.Buffer
		a := &app{stdout: &out, stderr: &log, json: true}
		if _, done, err := a.consultService(t.Context(), folders); !done || exitCode(err) != exitError {
			t.Fatalf("done is %t, %v\n%s%s", done, err, &out, &log)
		}
		var list []finding
		if err := json.Unmarshal(out.Bytes(), &list); err != nil {
			t.Fatalf("%v\n%s%s", err, &out, &log)
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
	for _, name := range []string{"DATA", "PROGRAMS", "BEANSTALKD", "SLOT"} {
		os.Unsetenv(envPrefix + name)
	}
	_, credential, err := findService(folders).credential()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(data, int(credential.Uid), int(credential.Gid)); err != nil {
		t.Fatal(err)
	}
	if f := examined()["data folder"]; f.Status != "ok" {
		t.Errorf("its own data folder: %+v", f)
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
