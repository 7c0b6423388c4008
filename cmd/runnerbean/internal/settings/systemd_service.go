package settings

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

const ServiceName = "runnerbean.service"

// UnitFolders are the folders in which systemd looks for units, in its order.
var UnitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// Service is a node that systemd runs.
type Service struct {
	Path      string // of the unit
	User      string
	exec      string
	Files     []string // of settings
	Variables []variable
	Faults    []string // what could not be read
}

// FindService reads the unit of a node, its drop-ins and its files of settings. It
// returns nil where no folder has the unit.
func FindService(folders []string) *Service {
	for _, folder := range folders {
		s := &Service{Path: filepath.Join(folder, ServiceName)}
		if _, err := os.Stat(s.Path); err != nil {
			continue
		}
		paths := []string{s.Path}
		for _, folder := range slices.Backward(folders) {
			more, _ := filepath.Glob(filepath.Join(folder, ServiceName+".d", "*.conf")) // the pattern is valid
			paths = append(paths, more...)
		}
		for _, path := range paths {
			if err := s.read(path); err != nil {
				s.Faults = append(s.Faults, err.Error())
			}
		}
		s.readFiles()
		return s
	}
	return nil
}

func (s *Service) read(path string) error {
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
			s.setOption(o.Name, strings.ReplaceAll(o.Value, "%%", "%"))
		}
	}
	return nil
}

// setOption applies one option of the section Service.
func (s *Service) setOption(name, value string) {
	switch name {
	case "User":
		s.User = value
	case "ExecStart":
		s.exec = value
	case "StateDirectory":
		if first := strings.Fields(value); len(first) > 0 {
			s.Variables = append(s.Variables, variable{"STATE_DIRECTORY", "/var/lib/" + first[0]})
		}
	case "Environment":
		for _, word := range SplitWords(value) {
			if name, value, ok := strings.Cut(word, "="); ok {
				s.Variables = append(s.Variables, variable{name, value})
			}
		}
	case "EnvironmentFile":
		s.Files = append(s.Files, value)
		if value == "" {
			s.Files = nil
		}
	}
}

// readFiles reads the files of settings. Their variables override those of the unit.
func (s *Service) readFiles() {
	for i, path := range s.Files {
		s.Files[i] = strings.TrimPrefix(path, "-")
		list, err := readEnvFile(s.Files[i])
		if errors.Is(err, os.ErrNotExist) && s.Files[i] != path {
			continue
		}
		if err != nil {
			s.Faults = append(s.Faults, err.Error())
		}
		s.Variables = append(s.Variables, list...)
	}
}

// Setting returns the value of RUNNERBEAN_ and name, or "" where it is not set.
func (s *Service) Setting(name string) string {
	value := ""
	for _, v := range s.Variables {
		if v.name == EnvPrefix+name {
			value = v.value
		}
	}
	return value
}

// SplitWords splits a line at blanks that are not in quotes, as systemd does.
func SplitWords(line string) []string {
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

// Credential returns the user that the service runs as.
func (s *Service) Credential() (*user.User, *syscall.Credential, error) {
	who, err := user.Lookup(s.User)
	if err != nil {
		who, err = user.LookupId(s.User)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("the service's user %q is not known: useradd --system %s makes it", s.User, s.User)
	}
	uid, errUID := strconv.ParseUint(who.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(who.Gid, 10, 32)
	if err := errors.Join(errUID, errGID); err != nil {
		return nil, nil, err
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	ids, _ := who.GroupIds() // without them the checks have fewer rights
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil {
			c.Groups = append(c.Groups, uint32(n))
		}
	}
	return who, c, nil
}

// GiveTo makes the service's user the owner of a file that root has made. It does not
// follow a link, which that user may have put in place of the file.
func (s *Service) GiveTo(path string) error {
	if os.Geteuid() != 0 || s.User == "" {
		return nil
	}
	_, c, err := s.Credential()
	if err != nil {
		return err
	}
	return os.Lchown(path, int(c.Uid), int(c.Gid))
}

// Reads reports whether the service reads its settings from this file. The paths may
// differ.
func (s *Service) Reads(path string) bool {
	info, err := os.Stat(path)
	return err == nil && slices.ContainsFunc(s.Files, func(own string) bool {
		other, err := os.Stat(own)
		return err == nil && os.SameFile(info, other)
	})
}

// Become gives this process, which runs as root, the rights and the environment of the
// service for good. Afterwards the service's programs run as the same user, so Become
// protects the memory of this process from them.
func (s *Service) Become(who *user.User, c *syscall.Credential) error {
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

// environ returns the environment of the service. It keeps PATH, LANG and the settings
// of the given environment; the settings override those of the service.
func (s *Service) environ(who *user.User, given []string) map[string]string {
	out := map[string]string{"HOME": who.HomeDir, "USER": who.Username, "LOGNAME": who.Username}
	settings := map[string]string{}
	for _, entry := range given {
		switch name, value, _ := strings.Cut(entry, "="); {
		case name == "PATH", name == "LANG":
			out[name] = value
		case strings.HasPrefix(name, EnvPrefix):
			settings[name] = value
		}
	}
	for _, v := range s.Variables {
		out[v.name] = v.value
	}
	maps.Copy(out, settings)
	return out
}
