package jobstest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Program is a program that a node runs.
type Program struct {
	// Name is what jobs name as their program.
	Name string
	// Run is the program: the text of a script, which begins with "#!", or the path of
	// an executable or of a folder with the executable "run" and perhaps "program.json".
	Run string
}

// install puts programs into a folder.
func install(folder string, programs []Program) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, p := range programs {
		to := filepath.Join(folder, p.Name)
		if strings.HasPrefix(p.Run, "#!") {
			if err := os.WriteFile(to, []byte(p.Run), 0o755); err != nil {
				return err
			}
			continue
		}
		info, err := os.Stat(p.Run)
		if err != nil {
			return fmt.Errorf("program %s: %w (a script begins with #!)", p.Name, err)
		}
		if info.IsDir() {
			err = copyFolder(to, p.Run)
		} else {
			err = copyExecutable(to, p.Run)
		}
		if err != nil {
			return fmt.Errorf("program %s: %w", p.Name, err)
		}
	}
	return nil
}

// copyFolder copies a folder. A node refuses a program that others may change, whatever
// the umask is.
func copyFolder(to, from string) error {
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&^0o022)
	})
}

func copyExecutable(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
