package worker

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
)

var programName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// program is an installed program that passed every check.
type program struct {
	about    ledger.Program
	manifest manifest
	path     string // of the executable, without symbolic links
	inFolder bool   // of its own
	// What was found when it was checked; a program is as it was while these are.
	executable mark
	files      map[string]mark // the entry, its links and its program.json
	folders    map[string]mark
	outside    map[string]mark // what starting it depends on elsewhere, links followed
}

// loader checks programs in one folder. sums holds the digests of executables
// by their marks, so that a large one is read once.
type loader struct {
	root string
	sums map[mark]string
}

func newLoader(root string) *loader { return &loader{root: root, sums: map[mark]string{}} }

// load checks the program <root>/<name> or <root>/<name>/run.
func (l *loader) load(name string) (p *program, err error) {
	defer panics.Recover(&err) // what a program's author wrote costs that program only
	if !programName.MatchString(name) {
		return nil, fmt.Errorf("the name does not match %s", programName)
	}
	p = &program{files: map[string]mark{}, folders: map[string]mark{}, outside: map[string]mark{}}
	p.about.Name = name
	if err := l.find(p, filepath.Join(l.root, name)); err != nil {
		return nil, err
	}
	if err := l.checkFolders(p); err != nil {
		return nil, err
	}
	if err := l.checkExecutable(p); err != nil {
		return nil, err
	}
	p.about.Description = p.manifest.Description
	p.about.Input, p.about.Result = []byte(p.manifest.Input), []byte(p.manifest.Result)
	return p, nil
}

// find follows name to the executable and reads the program.json beside it.
func (l *loader) find(p *program, entry string) error {
	path, m, err := l.resolve(p, entry)
	if err != nil {
		return err
	}
	if !m.is(unix.S_IFDIR) {
		p.path, p.executable = path, m
		return nil
	}
	p.inFolder = true
	if err := l.readManifest(p, filepath.Join(path, "program.json")); err != nil {
		return err
	}
	if p.path, p.executable, err = l.resolve(p, filepath.Join(path, "run")); errors.Is(err, fs.ErrNotExist) {
		return errors.New("the folder has no file named run")
	}
	return err
}

// resolve follows symbolic links as long as they stay in the programs folder.
func (l *loader) resolve(p *program, path string) (string, mark, error) {
	link, err := lstat(path)
	if err != nil {
		return "", link, err
	}
	if link.is(unix.S_IFLNK) {
		p.files[path] = link
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return "", link, err
		}
		if !strings.HasPrefix(path, l.root+"/") {
			return "", link, fmt.Errorf("is a symbolic link out of the programs folder, to %s", path)
		}
	}
	m, err := lstat(path)
	return path, m, err
}

func (l *loader) readManifest(p *program, path string) error {
	f, m, err := openRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		p.files[path] = mark{}
		return nil
	}
	if err != nil {
		return fmt.Errorf("program.json: %w", err)
	}
	defer f.Close()
	if err := m.trusted(); err != nil {
		return fmt.Errorf("program.json %w", err)
	}
	p.files[path] = m
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return err
	}
	if len(data) > maxManifest {
		return fmt.Errorf("program.json is larger than %s", Size(maxManifest))
	}
	p.manifest, err = decodeManifest(data)
	return err
}

// checkFolders looks at every folder from the executable up to the root:
// whoever can write to one can put another program in its place.
func (l *loader) checkFolders(p *program) error {
	for dir := filepath.Dir(p.path); ; dir = filepath.Dir(dir) {
		m, err := lstat(dir)
		if err != nil {
			return err
		}
		if err := m.trusted(); err != nil {
			return fmt.Errorf("its folder %s %w", dir, err)
		}
		p.folders[dir] = m.folder()
		if dir == l.root {
			return nil
		}
	}
}

func (l *loader) checkExecutable(p *program) error {
	f, m, err := openRegular(p.path)
	if err != nil {
		return fmt.Errorf("the file cannot be read: %w", err)
	}
	defer f.Close()
	if err := m.trusted(); err != nil {
		return fmt.Errorf("the file %w", err)
	}
	if m.mode&0o111 == 0 || unix.Access(p.path, unix.X_OK) != nil {
		if !p.inFolder { // it may be no program, but a file that lies about
			return fmt.Errorf("the file is not executable%s", whyNotExecutable(p.path, m))
		}
		p.about.Problem = "it is not executable" + whyNotExecutable(p.path, m)
	}
	p.executable = m
	if p.about.SHA256, err = l.sum(f, m); err != nil || p.about.Problem != "" {
		return err
	}
	s := starter{path: p.manifest.path(), seen: p.outside}
	p.about.Problem = clean(s.problem(f, 0), maxMessage)
	return nil
}

func (l *loader) sum(f *os.File, m mark) (string, error) {
	if sum, ok := l.sums[m]; ok {
		return sum, nil
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("the file cannot be read: %w", err)
	}
	if now, err := fstat(f); err != nil || now != m {
		return "", errors.New("the file is being written")
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	l.sums[m] = sum
	return sum, nil
}

// forget drops the digests of files that no program has any more.
func (l *loader) forget(programs map[string]*program) {
	used := make(map[mark]string, len(programs))
	for _, p := range programs {
		used[p.executable] = p.about.SHA256
	}
	l.sums = used
}

// unchanged looks again at all that was checked, the executable as an open
// file, and reports whether it is as it was.
func (p *program) unchanged() bool {
	if m, err := opened(p.path); err != nil || m != p.executable {
		return false
	}
	for path, want := range p.folders {
		if got, err := lstat(path); err != nil || got.folder() != want {
			return false
		}
	}
	for path, want := range p.files {
		if got, err := lstat(path); err != nil && !errors.Is(err, fs.ErrNotExist) || got != want {
			return false
		}
	}
	for path, want := range p.outside {
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil && want != (mark{}) || err == nil && markOf(&st) != want {
			return false
		}
	}
	return true
}
