// Package top shows a pool live on a terminal.
package top

import (
	"context"
	"errors"
	"io"
	"os"

	tea "charm.land/bubbletea/v2"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
)

// Run shows the screen until a key or ctx ends it. in and out are a terminal.
func Run(ctx context.Context, c *apiclient.Client, in io.Reader, out io.Writer) error {
	program := tea.NewProgram(newModel(newNodeAPI(ctx, c), c.Base), tea.WithContext(ctx), tea.WithInput(in),
		tea.WithOutput(out), tea.WithEnvironment(os.Environ()), tea.WithoutSignalHandler())
	_, err := program.Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil // the caller has ended it
	}
	return err
}
