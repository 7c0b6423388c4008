package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker"
)

// finding is one thing that doctor looked at.
type finding struct {
	Check  string `json:"check"`
	Status string `json:"status"` // ok, warning or error
	Detail string `json:"detail"`
	// Do says what to do about it.
	Do string `json:"do,omitempty"`
}

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check beanstalkd, folders, permissions, programs, disk and clock, and say what to do",
		Long: `Check beanstalkd, folders, permissions, programs, disk and clock, and say what to
do. The settings are those of the environment and of --env-file. Where neither
has any, and systemd has a unit runnerbean.service, they are those of the unit;
root then checks with the rights of the user that the unit names.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			service, err := a.consultService(settings.UnitFolders)
			if err != nil {
				return err
			}
			set, err := settings.Read()
			if err != nil {
				return err
			}
			findings := append(service, checkUnknown()...)
			findings = append(findings, examine(cmd.Context(), set)...)
			if err := printFindings(a, findings); err != nil {
				return err
			}
			for _, f := range findings {
				if f.Status == "error" {
					return errors.New("something is wrong: see above")
				}
			}
			return nil
		},
	}
}

// checkUnknown names variables that are probably meant as settings.
func checkUnknown() []finding {
	var findings []finding
	for _, said := range settings.Unknown(os.Environ()) {
		findings = append(findings, finding{"settings", "warning", said, "see \"runnerbean help config\""})
	}
	return findings
}

func examine(ctx context.Context, set settings.Settings) []finding {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	findings := checkBeanstalkd(ctx, set)
	findings = append(findings, checkFolder("data folder", set.Data, "RUNNERBEAN_DATA"))
	findings = append(findings, checkDisk(set), checkOpenFiles(set), checkReady(ctx), checkClock(ctx, set))
	findings = append(findings, checkPrograms(set)...)
	return append(findings, checkAccess(set), checkProxy(set), checkIsolation(), checkSystem())
}

func checkBeanstalkd(ctx context.Context, set settings.Settings) []finding {
	const check = "beanstalkd"
	producer, err := queue.NewProducer(queue.Config{Addrs: set.Beanstalkd})
	if err != nil {
		return []finding{{check, "error", err.Error(), "fix RUNNERBEAN_BEANSTALKD"}}
	}
	defer producer.Close()
	servers, err := producer.Servers(ctx)
	if err != nil {
		return []finding{{check, "error", err.Error(), ""}}
	}
	var findings []finding
	for _, s := range servers {
		switch {
		case s.Err != nil:
			findings = append(findings, finding{check, "error", fmt.Sprintf("%s: %v", s.Addr, s.Err), startAdvice()})
		case s.Stats["draining"] == "true":
			findings = append(findings, finding{check, "warning", s.Addr + " is draining: it takes no jobs", "restart it"})
		case s.Stats["binlog-max-size"] == "" || s.Stats["binlog-current-index"] == "0":
			findings = append(findings, finding{check, "warning", s.Addr + " keeps no binlog", "start it with -b FOLDER, so that jobs on the inbox survive its restart; Debian's beanstalkd.service keeps none: see \"As a service\" in docs/operations.md"})
		default:
			findings = append(findings, finding{check, "ok", fmt.Sprintf("%s answers, version %s", s.Addr, strings.Trim(s.Version, `"`)), ""})
		}
		if s.Err == nil {
			findings = append(findings, checkTubes(ctx, set, producer, s.Addr)...)
		}
	}
	return findings
}

func startAdvice() string {
	if _, err := exec.LookPath("beanstalkd"); err != nil {
		return "install it (apt-get install beanstalkd), or set RUNNERBEAN_BEANSTALKD to where it runs"
	}
	return "start it (beanstalkd -b FOLDER, or \"runnerbean dev\"), or set RUNNERBEAN_BEANSTALKD to where it runs"
}

// checkFolder makes sure that a file can be made, synced and removed there.
func checkFolder(check, folder, setting string) finding {
	do := "make it writable for the user that runs the node, or set " + setting
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return finding{check, "error", err.Error(), do}
	}
	file, err := os.CreateTemp(folder, ".doctor-*")
	if err != nil {
		return finding{check, "error", err.Error(), do}
	}
	defer os.Remove(file.Name())
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return finding{check, "error", err.Error(), do}
	}
	return finding{check, "ok", folder + " can be written", ""}
}

func checkDisk(set settings.Settings) finding {
	const check = "disk"
	low := 4 * int64(set.MinFree)
	s, err := store.Open(set.Store)
	if err != nil {
		return finding{check, "error", err.Error(), "fix RUNNERBEAN_STORE"}
	}
	defer s.Close()
	free, err := s.Free()
	switch {
	case err != nil:
		return finding{check, "warning", err.Error(), ""}
	case free < low:
		return finding{check, "warning", humanize.IBytes(uint64(max(free, 0))) + " free for results", "make room, or set RUNNERBEAN_STORE to a larger disk"}
	}
	return finding{check, "ok", humanize.IBytes(uint64(max(free, 0))) + " free for results", ""}
}

// checkClock compares this machine's clock with that of the node at
// RUNNERBEAN_URL, and with the newest file of the data folder.
func checkClock(ctx context.Context, set settings.Settings) finding {
	const check, much = "clock", 2 * time.Second
	now := time.Now()
	if info, err := os.Stat(filepath.Join(set.Data, "ledger.db")); err == nil && info.ModTime().After(now.Add(much)) {
		return finding{check, "error", "the ledger was written " + info.ModTime().Sub(now).Round(time.Second).String() + " in the future", "set the clock (timedatectl set-ntp true)"}
	}
	c, err := openClient()
	if err != nil {
		return finding{check, "warning", err.Error(), ""}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+"/healthz", nil)
	if err != nil {
		return finding{check, "warning", err.Error(), ""}
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return finding{check, "ok", now.UTC().Format(time.RFC3339) + " (no node runs at " + c.Base + " to compare with)", ""}
	}
	answer.Body.Close()
	theirs, err := http.ParseTime(answer.Header.Get("Date"))
	if off := theirs.Sub(now); err == nil && off.Abs() > much {
		return finding{check, "error", "the node's clock differs by " + off.Round(time.Second).String(), "set the clocks (timedatectl set-ntp true)"}
	}
	return finding{check, "ok", "agrees with the node at " + c.Base, ""}
}

func checkPrograms(set settings.Settings) []finding {
	const check = "program"
	installed, err := worker.Inspect(set.Programs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []finding{{"programs", "error", set.Programs + " does not exist", "make it (install -d " + set.Programs + "), or set RUNNERBEAN_PROGRAMS"}}
	case err != nil:
		return []finding{{"programs", "error", err.Error(), "see RUNNERBEAN_PROGRAMS"}}
	}
	var findings []finding
	if exposed := set.ExposedPrograms(); exposed != "" {
		findings = append(findings, finding{"programs", "warning", exposed, settings.MovePrograms})
	}
	if len(installed) == 0 {
		findings = append(findings, finding{"programs", "warning", "none in " + set.Programs, "copy an executable there, or set RUNNERBEAN_PROGRAMS; see docs/programs.md"})
	}
	for _, p := range installed {
		if p.Err != nil {
			findings = append(findings, finding{check, "error", fmt.Sprintf("%s: %v", terminal.Safe(p.Name), p.Err), "see docs/programs.md"})
			continue
		}
		if p.Program.Problem != "" {
			findings = append(findings, finding{check, "error", fmt.Sprintf("%s cannot be started: %s", p.Name, terminal.Safe(p.Program.Problem)), "fix it: its jobs fail until then"})
			continue
		}
		findings = append(findings, finding{check, "ok", fmt.Sprintf("%s, sha256 %.12s", p.Name, p.Program.SHA256), ""})
	}
	return findings
}

func checkAccess(set settings.Settings) finding {
	const check = "access"
	if set.Token == "" && set.TokensFile == "" {
		return finding{check, "warning", "no tokens: giving orders over HTTP works on loopback only", "set RUNNERBEAN_TOKENS_FILE to take orders from other machines; see \"runnerbean token\""}
	}
	return finding{check, "ok", "pages and API ask for a token", ""}
}

// checkIsolation says what keeps programs within bounds.
func checkIsolation() finding { return finding{"isolation", "ok", worker.Isolation(), ""} }

func checkSystem() finding {
	const check = "system"
	platform := runtime.GOOS + "/" + runtime.GOARCH
	if runtime.GOOS != "linux" {
		return finding{check, "warning", platform + ": programs that leave their process group, or outlive a killed node, are not ended", "run nodes on Linux"}
	}
	if os.Geteuid() == 0 {
		return finding{check, "warning", "programs run as root, as this user does", "run the node as a user of its own"}
	}
	return finding{check, "ok", platform, ""}
}

func printFindings(a *app, findings []finding) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, findings)
	}
	marks := map[string]string{"ok": "✓", "warning": "!", "error": "✗"}
	for _, f := range findings {
		fmt.Fprintf(a.stdout, "%s %-12s %s\n", marks[f.Status], f.Check, f.Detail)
		if f.Do != "" {
			fmt.Fprintf(a.stdout, "  %-12s → %s\n", "", f.Do)
		}
	}
	return nil
}
