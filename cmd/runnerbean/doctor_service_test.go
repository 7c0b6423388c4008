package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/doctor"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// withoutSettings returns the environment without settings.
func withoutSettings() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, settings.EnvPrefix) })
}

// TestDoctorAsTheService runs doctor as root. It must check with the rights of the
// service's user, who cannot write to root's folder.
func TestDoctorAsTheService(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root may become another user")
	}
	data := t.TempDir()
	if err := os.Chmod(filepath.Dir(data), 0o755); err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	for name, text := range map[string]string{
		"runnerbean.service": "[Service]\nUser=nobody\nEnvironmentFile=" + folder + "/node.env\n",
		"node.env":           "RUNNERBEAN_DATA=" + data + "\nRUNNERBEAN_PROGRAMS=" + data + "\nRUNNERBEAN_BEANSTALKD=127.0.0.1:9\nRUNNERBEAN_SLOT=2\n",
	} {
		write(t, filepath.Join(folder, name), text)
	}
	p := newNode(t, "127.0.0.1:9")
	p.env = append(withoutSettings(), asRunnerbean+"=1", unitsIn+"="+folder)
	examined := func(args ...string) map[string]doctor.Finding {
		t.Helper()
		out, log, code := p.client("", append([]string{"doctor", "--json"}, args...)...)
		var list []doctor.Finding
		if err := json.Unmarshal([]byte(out), &list); err != nil || code != exitError {
			t.Fatalf("exit code %d, %v\n%s%s", code, err, out, log)
		}
		found := map[string]doctor.Finding{}
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
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, errUID := strconv.Atoi(nobody.Uid)
	gid, errGID := strconv.Atoi(nobody.Gid)
	if err := errors.Join(errUID, errGID, os.Chown(data, uid, gid)); err != nil {
		t.Fatal(err)
	}
	// This is the same file by another path.
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, filepath.Join(folder, "node.env"))
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
