package program

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/logtext"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/fingerprint"
)

// Program is an installed program that passed every check.
type Program struct {
	About    nodes.Program // what the node announces of it
	Manifest Manifest
	Path     string // of the executable, without symbolic links
	inFolder bool   // it has a folder of its own, with a file named run
	// The fingerprints of all that was checked. While they stay the same so does the
	// program.
	executable fingerprint.File
	files      map[string]fingerprint.File // the entry, its links and its program.json
	folders    map[string]fingerprint.File
	outside    map[string]fingerprint.File // interpreters and loaders elsewhere, links followed
}

// loader checks the programs in one folder. It keeps the digests of executables, so
// that it reads a large one once.
type loader struct {
	root string
	sums map[fingerprint.File]string // by the fingerprint of the executable
}

func newLoader(root string) *loader { return &loader{root: root, sums: map[fingerprint.File]string{}} }

// load checks the program <root>/<name> or <root>/<name>/run.
func (l *loader) load(name string) (p *Program, err error) {
	defer panics.Recover(&err) // a panic costs this program alone
	if !programName.MatchString(name) {
		return nil, fmt.Errorf("the name does not match %s", programName)
	}
	if name == jobs.BatchProgram {
		return nil, fmt.Errorf("the name %s is that of a program of the node, which runs batches: rename the folder", name)
	}
	p = &Program{files: map[string]fingerprint.File{}, folders: map[string]fingerprint.File{}, outside: map[string]fingerprint.File{}}
	p.About.Name = name
	if err := l.find(p, filepath.Join(l.root, name)); err != nil {
		return nil, err
	}
	if err := l.checkFolders(p); err != nil {
		return nil, err
	}
	if err := l.checkExecutable(p); err != nil {
		return nil, err
	}
	p.About.Description, p.About.Weight = p.Manifest.Description, 1
	if p.Manifest.Weight != nil {
		p.About.Weight = *p.Manifest.Weight
	}
	p.About.Checkpoint = p.Manifest.Checkpoint != ""
	p.About.Keep = p.Manifest.Keep.String()
	p.About.Input, p.About.Result = []byte(p.Manifest.Input), []byte(p.Manifest.Result)
	return p, nil
}

// find follows entry to the executable and reads the program.json beside it.
func (l *loader) find(p *Program, entry string) error {
	path, m, err := l.resolve(p, entry)
	if err != nil {
		return err
	}
	if !m.Is(unix.S_IFDIR) {
		p.Path, p.executable = path, m
		return nil
	}
	p.inFolder = true
	if err := l.readManifest(p, filepath.Join(path, "program.json")); err != nil {
		return err
	}
	if p.Path, p.executable, err = l.resolve(p, filepath.Join(path, "run")); errors.Is(err, fs.ErrNotExist) {
		return errors.New("the folder has no file named run")
	}
	return err
}

// resolve follows symbolic links. It refuses those that leave the programs folder.
func (l *loader) resolve(p *Program, path string) (string, fingerprint.File, error) {
	link, err := fingerprint.Lstat(path)
	if err != nil {
		return "", link, err
	}
	if link.Is(unix.S_IFLNK) {
		p.files[path] = link
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", link, err
		}
		if !strings.HasPrefix(path, l.root+"/") {
			return "", link, fmt.Errorf("is a symbolic link out of the programs folder, to %s", path)
		}
	}
	m, err := fingerprint.Lstat(path)
	return path, m, err
}

// readManifest reads the program.json at path, if there is one.
func (l *loader) readManifest(p *Program, path string) error {
	f, m, err := fingerprint.OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		p.files[path] = fingerprint.File{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("program.json: %w", err)
	}
	defer f.Close()
	if err := m.Trusted(); err != nil {
		return fmt.Errorf("program.json %w", err)
	}
	p.files[path] = m
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return err
	}
	if len(data) > maxManifest {
		return fmt.Errorf("program.json is larger than %s", bytesize.Size(maxManifest))
	}
	p.Manifest, err = decodeManifest(data)
	return err
}

// checkFolders checks every folder from the executable up to the root: a user who
// can write to one of them can replace the program.
func (l *loader) checkFolders(p *Program) error {
	for dir := filepath.Dir(p.Path); ; dir = filepath.Dir(dir) {
		m, err := fingerprint.Lstat(dir)
		if err != nil {
			return err
		}
		if err := m.Trusted(); err != nil {
			return fmt.Errorf("its folder %s %w", dir, err)
		}
		p.folders[dir] = m.Folder()
		if dir == l.root {
			return nil
		}
	}
}

// checkExecutable checks the executable and whether it can be started.
func (l *loader) checkExecutable(p *Program) error {
	f, m, err := fingerprint.OpenRegular(p.Path)
	if err != nil {
		return fmt.Errorf("the file cannot be read: %w", err)
	}
	defer f.Close()
	if err := m.Trusted(); err != nil {
		return fmt.Errorf("the file %w", err)
	}
	if m.Mode()&0o111 == 0 || unix.Access(p.Path, unix.X_OK) != nil {
		if !p.inFolder { // it may be another file than a program
			return fmt.Errorf("the file is not executable%s", whyNotExecutable(p.Path, m))
		}
		p.About.Problem = "it is not executable" + whyNotExecutable(p.Path, m)
	}
	p.executable = m
	if p.About.SHA256, err = l.sum(f, m); err != nil || p.About.Problem != "" {
		return err
	}
	s := startCheck{path: p.Manifest.path(), seen: p.outside}
	p.About.Problem = logtext.Clean(s.problem(f, 0), fault.MaxMessage)
	return nil
}

// sum returns the SHA-256 of an open executable, in hexadecimal digits.
func (l *loader) sum(f *os.File, m fingerprint.File) (string, error) {
	if sum, ok := l.sums[m]; ok {
		return sum, nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("the file cannot be read: %w", err)
	}
	if now, err := fingerprint.Fstat(f); err != nil || now != m {
		return "", errors.New("the file is being written")
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	l.sums[m] = sum
	return sum, nil
}

// forget drops the digests of all executables but those of programs.
func (l *loader) forget(programs map[string]*Program) {
	used := make(map[fingerprint.File]string, len(programs))
	for _, p := range programs {
		used[p.executable] = p.About.SHA256
	}
	l.sums = used
}

// unchanged reports whether all that was checked is as it was. It opens the
// executable, so that a file system on a network asks its server.
func (p *Program) unchanged() bool {
	f, now, err := fingerprint.OpenRegular(p.Path)
	if err != nil {
		return false
	}
	f.Close()
	if now != p.executable {
		return false
	}
	for path, want := range p.folders {
		if got, err := fingerprint.Lstat(path); err != nil || got.Folder() != want {
			return false
		}
	}
	for path, want := range p.files {
		if got, err := fingerprint.Lstat(path); err != nil && !errors.Is(err, fs.ErrNotExist) || got != want {
			return false
		}
	}
	for path, want := range p.outside {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil && want != (fingerprint.File{}) || err == nil && fingerprint.Of(&st) != want {
			return false
		}
	}
	return true
}
