package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/unit"

	"github.com/runnerbean/runnerbean/worker"
)

const serviceName = "runnerbean.service"

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

// own gives a file that root has made to the service's user. A link, which that user
// may have put in its place, is not followed.
func (s *service) own(path string) error {
	if os.Geteuid() != 0 || s.user == "" {
		return nil
	}
	_, c, err := s.credential()
	if err != nil {
		return err
	}
	return os.Lchown(path, int(c.Uid), int(c.Gid))
}

// reads reports whether a file is one of the service's settings, by whatever path.
func (s *service) reads(path string) bool {
	info, err := os.Stat(path)
	return err == nil && slices.ContainsFunc(s.files, func(own string) bool {
		other, err := os.Stat(own)
		return err == nil && os.SameFile(info, other)
	})
}

// consultService takes the settings of the service where nobody has given others,
// and says what it has found. Root becomes the service's user.
func (a *app) consultService(folders []string) (findings []finding, err error) {
	service := findService(folders)
	if service == nil || a.envFile != "" && !service.reads(a.envFile) || a.envFile == "" && configured(os.Environ()) {
		return nil, nil
	}
	if err := setMissing(service.variables); err != nil {
		return nil, err
	}
	const check = "service"
	root := os.Geteuid() == 0
	for _, fault := range service.faults {
		f := finding{check, "warning", fault, "run this as root to see what the service sees"}
		if root {
			f.Do = "fix it: systemd reads it, too"
		}
		findings = append(findings, f)
	}
	detail := fmt.Sprintf("settings of %s; user %s", strings.Join(append([]string{service.path}, service.files...), ", "), service.user)
	if service.user == "" || service.user == "root" {
		return append(findings, finding{check, "ok", detail, ""}), nil
	}
	who, credential, err := service.credential()
	switch {
	case err != nil:
		return append(findings, finding{check, "error", err.Error(), ""}), nil
	case os.Geteuid() == int(credential.Uid):
	case !root:
		return append(findings, finding{check, "warning", detail + ", but this is another user", "run this as root, which checks with the rights of " + service.user}), nil
	default:
		if err := service.become(who, credential); err != nil {
			return nil, fmt.Errorf("cannot check as %s: %w", who.Username, err)
		}
	}
	return append(findings, finding{check, "ok", detail, ""}), nil
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

// become gives this process of root the rights and the environment of the service,
// for good. The service's programs run as the same user: its memory stays closed to
// them.
func (s *service) become(who *user.User, c *syscall.Credential) error {
	groups := make([]int, 0, len(c.Groups))
	for _, id := range c.Groups {
		groups = append(groups, int(id))
	}
	if err := syscall.Setgroups(groups); err != nil {
		return os.NewSyscallError("setgroups", err)
	}
	if err := syscall.Setgid(int(c.Gid)); err != nil {
		return os.NewSyscallError("setgid", err)
	}
	if err := syscall.Setuid(int(c.Uid)); err != nil {
		return os.NewSyscallError("setuid", err)
	}
	errs := []error{worker.Protect(), os.Chdir("/")}
	environ := s.environ(who, os.Environ())
	os.Clearenv()
	for name, value := range environ {
		errs = append(errs, os.Setenv(name, value))
	}
	return errors.Join(errs...)
}

// environ is the environment of the service. Of the given one only PATH, LANG and
// the settings are kept, which count more.
func (s *service) environ(who *user.User, given []string) map[string]string {
	out := map[string]string{"HOME": who.HomeDir, "USER": who.Username, "LOGNAME": who.Username}
	settings := map[string]string{}
	for _, entry := range given {
		switch name, value, _ := strings.Cut(entry, "="); {
		case name == "PATH", name == "LANG":
			out[name] = value
		case strings.HasPrefix(name, envPrefix):
			settings[name] = value
		}
	}
	for _, v := range s.variables {
		out[v.name] = v.value
	}
	maps.Copy(out, settings)
	return out
}
