package doctor

import (
	"fmt"
	"os"
	"strings"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// ConsultService sets the variables of the systemd service in the environment, unless the
// environment or envFile has settings of another node. Where this process runs as root,
// it becomes the user of the service.
func ConsultService(envFile string) (findings []Finding, err error) {
	service := settings.FindService(settings.UnitFolders)
	if service == nil || envFile != "" && !service.Reads(envFile) || envFile == "" && configured(os.Environ()) {
		return nil, nil
	}
	if err := settings.SetMissing(service.Variables); err != nil {
		return nil, err
	}
	const check = name("service")
	root := os.Geteuid() == 0
	for _, fault := range service.Faults {
		f := check.warning(fault, "run this as root to see what the service sees")
		if root {
			f.Do = "fix it: systemd reads it, too"
		}
		findings = append(findings, f)
	}
	detail := fmt.Sprintf("settings of %s; user %s", strings.Join(append([]string{service.Path}, service.Files...), ", "), service.User)
	if service.User == "" || service.User == "root" {
		return append(findings, check.ok(detail)), nil
	}
	who, credential, err := service.Credential()
	switch {
	case err != nil:
		return append(findings, check.failure(err.Error())), nil
	case os.Geteuid() == int(credential.Uid):
	case !root:
		return append(findings, check.warning(detail+", but this is another user", "run this as root, which checks with the rights of "+service.User)), nil
	default:
		if err := service.Become(who, credential); err != nil {
			return nil, fmt.Errorf("cannot check as %s: %w", who.Username, err)
		}
	}
	return append(findings, check.ok(detail)), nil
}

// configured reports whether an environment has settings of a node, not only of the
// command line.
func configured(environ []string) bool {
	for name := range settings.GivenSettings(environ) {
		switch rest, ok := strings.CutPrefix(name, settings.EnvPrefix); {
		case !ok, rest == "URL", rest == "TOKEN", rest == "TOKEN_FILE":
		default:
			return true
		}
	}
	return false
}
