package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/unit"
)

const (
	serviceName   = "runnerbean.service"
	asServiceFlag = "as-service"
)

// unitFolders are where systemd finds units, the first one first.
var unitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// service is a node that systemd runs.
type service struct {
	path      string // of the unit
	user      string
	exec      string
	files     []string // of settings
	variables []variable
	faults    []string // what could not be read
}

// findService reads the unit of a node and its drop-ins; nil where there is none.
func findService(folders []string) *service {
	for _, folder := range folders {
		s := &service{path: filepath.Join(folder, serviceName)}
		if _, err := os.Stat(s.path); err != nil {
			continue
		}
		paths := []string{s.path}
		for _, folder := range slices.Backward(folders) {
			more, _ := filepath.Glob(filepath.Join(folder, serviceName+".d", "*.conf")) // the pattern is good
			paths = append(paths, more...)
		}
		for _, path := range paths {
			if err := s.read(path); err != nil {
				s.faults = append(s.faults, err.Error())
			}
		}
		s.readFiles()
		return s
	}
	return nil
}

func (s *service) read(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	options, err := unit.DeserializeOptions(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, o := range options {
		if o.Section == "Service" {
			s.take(o.Name, strings.ReplaceAll(o.Value, "%%", "%"))
		}
	}
	return nil
}

// take takes one line of a unit.
func (s *service) take(name, value string) {
	switch name {
	case "User":
		s.user = value
	case "ExecStart":
		s.exec = value
	case "StateDirectory":
		if first := strings.Fields(value); len(first) > 0 {
			s.variables = append(s.variables, variable{"STATE_DIRECTORY", "/var/lib/" + first[0]})
		}
	case "Environment":
		for _, word := range words(value) {
			if name, value, ok := strings.Cut(word, "="); ok {
				s.variables = append(s.variables, variable{name, value})
			}
		}
	case "EnvironmentFile":
		s.files = append(s.files, value)
		if value == "" {
			s.files = nil
		}
	}
}

// readFiles reads the files of settings, which count more than the unit itself.
func (s *service) readFiles() {
	for i, path := range s.files {
		s.files[i] = strings.TrimPrefix(path, "-")
		list, err := readEnvFile(s.files[i])
		if errors.Is(err, os.ErrNotExist) && s.files[i] != path {
			continue
		}
		if err != nil {
			s.faults = append(s.faults, err.Error())
		}
		s.variables = append(s.variables, list...)
	}
}

// setting is one of RUNNERBEAN_, "" where it is not set.
func (s *service) setting(name string) string {
	value := ""
	for _, v := range s.variables {
		if v.name == envPrefix+name {
			value = v.value
		}
	}
	return value
}

// words splits a line as systemd does: at blanks that are not in quotes.
func words(line string) []string {
	var out []string
	var word strings.Builder
	var quote rune
	inside, escaped := false, false
	for _, r := range line {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			inside, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			inside, quote = true, r
		case quote == 0 && (r == ' ' || r == '\t'):
			if inside {
				out = append(out, word.String())
			}
			word.Reset()
			inside = false
		default:
			inside = true
			word.WriteRune(r)
		}
	}
	if inside {
		out = append(out, word.String())
	}
	return out
}

// credential is whom the service runs as.
func (s *service) credential() (*user.User, *syscall.Credential, error) {
	who, err := user.Lookup(s.user)
	if err != nil {
		who, err = user.LookupId(s.user)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the service's user %q is not known: useradd --system %s makes it", s.user, s.user)
	}
	uid, errUID := strconv.ParseUint(who.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(who.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, nil, err
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	ids, _ := who.GroupIds() // without them it is tested with fewer rights
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			c.Groups = append(c.Groups, uint32(n))
		}
	}
	return who, c, nil
}

// own gives a file that root has made to the service's user.
func (s *service) own(path string) error {
	if os.Geteuid() != 0 || s.user == "" {
		return nil
	}
	_, c, err := s.credential()
	if err != nil {
		return err
	}
	return os.Chown(path, int(c.Uid), int(c.Gid))
}

// consultService takes the settings of the service where nobody has given others,
// and says what it has found. Root starts this program again as the service's user;
// then done is true.
func (a *app) consultService(ctx context.Context, folders []string) (findings []finding, done bool, err error) {
	service := findService(folders)
	if service == nil || a.envFile != "" && !slices.Contains(service.files, a.envFile) || a.envFile == "" && configured(os.Environ()) {
		return nil, false, nil
	}
	if err := setMissing(service.variables); err != nil {
		return nil, false, err
	}
	const check = "service"
	for _, fault := range service.faults {
		findings = append(findings, finding{check, "warning", fault, "run this as root to see what the service sees"})
	}
	detail := fmt.Sprintf("settings of %s; user %s", strings.Join(append([]string{service.path}, service.files...), ", "), service.user)
	if service.user == "" || service.user == "root" {
		return append(findings, finding{check, "ok", detail, ""}), false, nil
	}
	who, credential, err := service.credential()
	switch {
	case err != nil:
		return append(findings, finding{check, "error", err.Error(), ""}), false, nil
	case os.Geteuid() == int(credential.Uid):
		return append(findings, finding{check, "ok", detail, ""}), false, nil
	case os.Geteuid() != 0:
		return append(findings, finding{check, "warning", detail + ", but this is another user", "run this as root, which checks with the rights of " + service.user}), false, nil
	}
	return nil, true, a.doctorAs(ctx, who, credential, detail)
}

// configured reports whether an environment has settings of a node.
func configured(environ []string) bool {
	for name := range givenSettings(environ) {
		switch rest, ok := strings.CutPrefix(name, envPrefix); {
		case !ok, rest == "URL", rest == "TOKEN", rest == "TOKEN_FILE":
		default:
			return true
		}
	}
	return false
}

// doctorAs runs "runnerbean doctor" with this environment as another user.
func (a *app) doctorAs(ctx context.Context, who *user.User, credential *syscall.Credential, detail string) error {
	self := "/proc/self/exe" // which that user may run wherever the file lies
	if _, err := os.Stat(self); err != nil {
		if self, err = os.Executable(); err != nil {
			return err
		}
	}
	args := []string{"doctor", "--" + asServiceFlag, detail}
	if a.json {
		args = append(args, "--json")
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = a.stdout, a.stderr, "/"
	cmd.Env = append(os.Environ(), "HOME="+who.HomeDir, "USER="+who.Username, "LOGNAME="+who.Username)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &codeError{exit.ExitCode(), errSaid}
	}
	if err != nil {
		return fmt.Errorf("cannot check as %s: %w", who.Username, err)
	}
	return nil
}
