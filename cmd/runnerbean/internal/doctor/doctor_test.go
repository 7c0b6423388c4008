package doctor

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

func TestDoctorSpeaksOfProxies(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"} {
		t.Setenv(name, "")
	}
	if f := checkProxy(settings.Settings{}); f.Status != "ok" {
		t.Errorf("without one: %+v", f)
	}
	t.Setenv("http_proxy", "http://u:geheim@proxy.example:3128")
	if f := checkProxy(settings.Settings{}); f.Status != "warning" || !strings.Contains(f.Detail, "http_proxy") || !strings.Contains(f.Do, "RUNNERBEAN_FETCH_PROXY") || strings.Contains(f.Detail+f.Do, "geheim") {
		t.Errorf("with that of the environment: %+v", f)
	}
	if f := checkProxy(settings.Settings{FetchProxy: "http://u:geheim@proxy.example:3128"}); f.Status != "ok" || !strings.Contains(f.Detail, "http://proxy.example:3128") || strings.Contains(f.Detail, "geheim") {
		t.Errorf("with its own: %+v", f)
	}
	if f := checkProxy(settings.Settings{FetchProxy: "proxy.example:geheim@x"}); f.Status != "error" || strings.Contains(f.Detail, "geheim") {
		t.Errorf("with a bad one: %+v", f)
	}
}

// TestDoctorChecksThePrograms checks the findings for a programs folder in the data
// folder, and for a missing one.
func TestDoctorChecksThePrograms(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := settings.Settings{Data: data, Programs: data}
	findings := checkPrograms(s)
	if len(findings) == 0 || findings[0].Status != "warning" || !strings.Contains(findings[0].Detail, "is in the data folder") {
		t.Errorf("%+v", findings)
	}
	s.Programs = filepath.Join(data, "absent")
	if findings := checkPrograms(s); findings[0].Status != "error" || !strings.Contains(findings[0].Do, "install -d") {
		t.Errorf("%+v", findings)
	}
}
