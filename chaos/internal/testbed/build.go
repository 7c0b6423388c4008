package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// Build builds runnerbean with more flags of go build.
func Build(ctx context.Context, path string, flags ...string) error {
	args := append(append([]string{"build"}, flags...), "-o", path, "github.com/runnerbean/runnerbean/cmd/runnerbean")
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}
