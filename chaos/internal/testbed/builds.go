package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

const mainPackage = "github.com/runnerbean/runnerbean/cmd/runnerbean"

// Builds builds each kind of runnerbean at most once for all scenarios of a
// run.
type Builds struct {
	dir string

	mu   sync.Mutex
	done map[string]bool // by path
}

// NewBuilds returns builds in a folder, which it creates when it is needed.
func NewBuilds(dir string) *Builds { return &Builds{dir: dir, done: map[string]bool{}} }

// once returns the path of a binary, which it builds at the first call with its
// name.
func (b *Builds) once(name string, build func(folder, path string) error) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	folder := filepath.Join(b.dir, name)
	path := filepath.Join(folder, "runnerbean")
	if b.done[path] {
		return path, nil
	}
	if err := os.RemoveAll(folder); err != nil { // of an earlier run with the same -keep
		return "", err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	if err := build(folder, path); err != nil {
		return "", err
	}
	b.done[path] = true
	return path, nil
}

// Build builds runnerbean with more flags of go build.
func Build(ctx context.Context, path string, flags ...string) error {
	return buildIn(ctx, "", path, flags...)
}

// buildIn builds the tree in a folder, "" for the present one.
func buildIn(ctx context.Context, tree, path string, flags ...string) error {
	args := append(append([]string{"build"}, flags...), "-o", path, mainPackage)
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env, cmd.Dir = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off"), tree
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// Today builds the present tree with a movable clock and with a schema
// that can be newer than it is; see clock_overlay.go and later_schema.go.
func (b *Builds) Today(ctx context.Context) (string, error) {
	return b.once("today", func(folder, path string) error {
		root, err := moduleRoot(ctx)
		if err != nil {
			return err
		}
		overlay, err := movableClock(ctx)
		if err != nil {
			return err
		}
		if err := laterSchema(root, overlay); err != nil {
			return err
		}
		list, err := overlay.write(folder)
		if err != nil {
			return err
		}
		return Build(ctx, path, "-overlay", list)
	})
}

// Old builds the program as it was at a commit, with a movable clock. It
// fails if the history of this checkout does not have the commit.
func (b *Builds) Old(ctx context.Context, commit string) (string, error) {
	return b.once("old-"+commit, func(folder, path string) error {
		overlay, err := movableClock(ctx)
		if err != nil {
			return err
		}
		list, err := overlay.write(folder)
		if err != nil {
			return err
		}
		return buildAt(ctx, commit, folder, path, "-overlay", list)
	})
}

// At builds the program exactly as it was at a commit. It fails if the history of this
// checkout does not have the commit.
func (b *Builds) At(ctx context.Context, commit string) (string, error) {
	return b.once("at-"+commit, func(folder, path string) error { return buildAt(ctx, commit, folder, path) })
}

// buildAt builds the tree of a commit in a folder.
func buildAt(ctx context.Context, commit, folder, path string, flags ...string) error {
	tree := filepath.Join(folder, "tree")
	if err := checkOut(ctx, commit, tree); err != nil {
		return fmt.Errorf("the program of commit %s is needed to upgrade from: %w", commit, err)
	}
	if err := buildIn(ctx, tree, path, flags...); err != nil {
		return fmt.Errorf("the program of commit %s, whose modules must be in the cache or reachable: %w", commit, err)
	}
	return nil
}

// Next builds the present tree with one more migration, which is additive: the next version
// of the program.
func (b *Builds) Next(ctx context.Context) (string, error) {
	return b.once("next", func(folder, path string) error {
		root, err := moduleRoot(ctx)
		if err != nil {
			return err
		}
		list, err := additiveMigration(root).write(folder)
		if err != nil {
			return err
		}
		return Build(ctx, path, "-overlay", list)
	})
}

// checkOut writes the files of a commit into a folder.
func checkOut(ctx context.Context, commit, tree string) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "git", "-C", root, "cat-file", "-e", commit+"^{commit}").CombinedOutput(); err != nil {
		return fmt.Errorf("this checkout does not have the commit: get the whole history of the project (git fetch --unshallow; an archive of the sources, or a history that was squashed, has none): %w %s", err, out)
	}
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return err
	}
	archive := tree + ".tar"
	if out, err := exec.CommandContext(ctx, "git", "-C", root, "archive", "-o", archive, commit).CombinedOutput(); err != nil {
		return fmt.Errorf("git archive: %w %s", err, out)
	}
	if out, err := exec.CommandContext(ctx, "tar", "-xf", archive, "-C", tree).CombinedOutput(); err != nil {
		return fmt.Errorf("tar: %w %s", err, out)
	}
	return nil
}

// moduleRoot returns the folder of the present tree.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
