package doctor

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/worker"
)

func checkPrograms(set settings.Settings) []Finding {
	const check = name("program")
	installed, err := worker.Inspect(set.Programs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{name("programs").failure(set.Programs+" does not exist", "make it (install -d "+set.Programs+"), or set RUNNERBEAN_PROGRAMS")}
	case err != nil:
		return []Finding{name("programs").failure(err.Error(), "see RUNNERBEAN_PROGRAMS")}
	}
	var findings []Finding
	if exposed := set.ExposedPrograms(); exposed != "" {
		findings = append(findings, name("programs").warning(exposed, settings.MovePrograms))
	}
	if len(installed) == 0 {
		findings = append(findings, name("programs").warning("none in "+set.Programs, "copy an executable there, or set RUNNERBEAN_PROGRAMS; see docs/programs.md"))
	}
	for _, p := range installed {
		if p.Err != nil {
			findings = append(findings, check.failure(fmt.Sprintf("%s: %v", terminal.Safe(p.Name), p.Err), "see docs/programs.md"))
			continue
		}
		if p.Program.Problem != "" {
			findings = append(findings, check.failure(fmt.Sprintf("%s cannot be started: %s", p.Name, terminal.Safe(p.Program.Problem)), "fix it: its jobs fail until then"))
			continue
		}
		weight := ""
		if p.Program.Weight > 1 {
			weight = fmt.Sprintf(", weight %d", p.Program.Weight)
		}
		findings = append(findings, check.ok(fmt.Sprintf("%s, sha256 %.12s%s", p.Name, p.Program.SHA256, weight)))
	}
	return findings
}
