package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/access"
	"github.com/runnerbean/runnerbean/jobs"
)

func newSign(a *app) *cobra.Command {
	var expires string
	cmd := &cobra.Command{
		Use:   "sign URL",
		Short: "Sign a result's URL, so that whoever has it may read the result for a while",
		Long: `Sign the URL of a result, or of a file or log below it, with the first key of
RUNNERBEAN_URL_KEY_FILE. Nodes with RUNNERBEAN_RESULTS=signed serve the result
to whoever has the signed URL, until it expires. URL may be a job's id; then the
URL is one of the node at RUNNERBEAN_URL. Web servers sign with jobs.SignURL.`,
		Example: `  runnerbean sign https://results.example/019aae04-9f80-7c61-8d2e-5b1c7a90e1f2 --expires 7d`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			end, err := parseExpiry(expires, time.Now())
			if err != nil {
				return usageError(fmt.Errorf("--expires: %w", err))
			}
			signed, err := sign(cmd.Context(), args[0], end)
			if err != nil {
				return usageError(err)
			}
			if a.json {
				return terminal.PrintJSON(a.stdout, map[string]any{"url": signed, "expires": end.UTC().Truncate(time.Second)})
			}
			_, err = fmt.Fprintln(a.stdout, signed)
			return err
		},
	}
	cmd.Flags().StringVar(&expires, "expires", "24h", "how long the URL is good, such as 90d, 12h or 30m, or until when, such as 2027-01-31")
	return cmd
}

func sign(ctx context.Context, arg string, expires time.Time) (string, error) {
	path, err := settings.ReadPath("URL_KEY_FILE")
	if err != nil {
		return "", err
	}
	if path == "" {
		return "", errors.New("set RUNNERBEAN_URL_KEY_FILE, as for the node")
	}
	if expires.IsZero() {
		return "", errors.New("--expires: say for how long")
	}
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return "", err
	}
	resultURL, err := jobURL(ctx, c, arg)
	if err != nil {
		return "", err
	}
	keys, err := access.OpenKeys(path, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	return jobs.SignURL(resultURL, keys.All()[0], expires)
}
