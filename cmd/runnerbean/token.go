package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/access"
)

// soon is how long before its end a list marks a token.
const soon = 14 * 24 * time.Hour

func newToken(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and remove tokens of viewers, operators and submitters",
		Long: `Make, list and remove the tokens in the file RUNNERBEAN_TOKENS_FILE, of the
environment, of --env-file or of the unit runnerbean.service of systemd. A viewer
reads the pages and the API, an operator also submits, cancels and so on. The
role submit is for web servers: it submits jobs, reads and cancels those of the
same token, and can do nothing else. The file holds hashes; a token is printed once, when it is made. Running nodes read
the file again when it has changed.`,
		Example: `  runnerbean token add ann --role operator
  runnerbean token add wall-screen --role viewer --expires 90d
  runnerbean token add shop --role submit
  runnerbean token remove ann`,
	}
	cmd.PersistentFlags().StringVar(&file, "file", "", "file of tokens (default: RUNNERBEAN_TOKENS_FILE)")
	path := func() (string, error) {
		set, err := settings.ReadPath("TOKENS_FILE")
		if err != nil {
			return "", err
		}
		settings.Fill(&file, set)
		if service := settings.FindService(settings.UnitFolders); file == "" && service != nil {
			file = service.Setting("TOKENS_FILE")
		}
		if file == "" {
			return "", usageError(errors.New("say which file: set RUNNERBEAN_TOKENS_FILE, as for the node, or use --env-file or --file"))
		}
		return file, nil
	}
	cmd.AddCommand(newTokenAdd(a, path), newTokenList(a, path), newTokenRemove(a, path))
	return cmd
}

func newTokenAdd(a *app, path func() (string, error)) *cobra.Command {
	var role, expires string
	cmd := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token and print it; it cannot be printed again",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := path()
			if err != nil {
				return err
			}
			end, err := parseExpiry(expires, time.Now())
			if err != nil {
				return usageError(fmt.Errorf("--expires: %w", err))
			}
			secret, entry, err := access.New(args[0], access.Role(role), end)
			if err != nil {
				return usageError(err)
			}
			_, absent := os.Stat(file)
			if err := access.AddToken(file, entry); err != nil {
				return err
			}
			if service := settings.FindService(settings.UnitFolders); absent != nil && service != nil && service.Setting("TOKENS_FILE") == file {
				if err := service.GiveTo(file); err != nil {
					return fmt.Errorf("%s: the service cannot read it: %w", file, err)
				}
			}
			return printToken(a, secret, entry)
		},
	}
	cmd.Flags().StringVar(&role, "role", "", "viewer, operator or submit")
	cmd.Flags().StringVar(&expires, "expires", "", "when it is of no more use: after a time span such as 90d or 12h, or on a date such as 2027-01-31 (default: never)")
	return cmd
}

// printToken prints only the token to stdout, so that a script can read it.
func printToken(a *app, secret string, entry access.Token) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, struct {
			tokenLine
			Token string `json:"token"`
		}{lineOf(entry), secret})
	}
	fmt.Fprintf(a.stderr, "%s is %s now. Keep the token in a safe place: it is not shown again.\n", entry.Name, article(entry.Role))
	_, err := fmt.Fprintln(a.stdout, secret)
	return err
}

func article(r access.Role) string {
	switch r {
	case access.Operator:
		return "an operator"
	case access.Submit:
		return "a submitter"
	}
	return "a viewer"
}

// tokenLine is a token in a list.
type tokenLine struct {
	Name    string     `json:"name"`
	Role    string     `json:"role"`
	Expires *time.Time `json:"expires,omitempty"`
	Expired bool       `json:"expired,omitempty"`
}

func lineOf(t access.Token) tokenLine {
	line := tokenLine{Name: t.Name, Role: string(t.Role), Expired: t.Expired(time.Now())}
	if !t.Expires.IsZero() {
		line.Expires = &t.Expires
	}
	return line
}

func newTokenList(a *app, path func() (string, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List who has a token, not the tokens",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			file, err := path()
			if err != nil {
				return err
			}
			tokens, err := access.ReadTokens(file)
			if err != nil {
				return err
			}
			return printTokens(a, tokens)
		},
	}
}

func printTokens(a *app, tokens []access.Token) error {
	lines := make([]tokenLine, 0, len(tokens))
	for _, t := range tokens {
		lines = append(lines, lineOf(t))
	}
	if a.json {
		return terminal.PrintJSON(a.stdout, map[string]any{"tokens": lines})
	}
	if len(lines) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nobody has a token")
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tEXPIRES")
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%s\n", l.Name, l.Role, expiryText(l))
	}
	return w.Flush()
}

func expiryText(l tokenLine) string {
	switch {
	case l.Expires == nil:
		return "never"
	case l.Expired:
		return terminal.Time(*l.Expires) + ", expired"
	case time.Until(*l.Expires) < soon:
		return terminal.Time(*l.Expires) + ", soon"
	}
	return terminal.Time(*l.Expires)
}

func newTokenRemove(a *app, path func() (string, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "remove NAME",
		Short: "Take a token back; its sessions end within a second or two",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file, err := path()
			if err != nil {
				return err
			}
			err = access.RemoveToken(file, args[0])
			if errors.Is(err, access.ErrNoToken) || errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("nobody has a token with the name %q; see \"runnerbean token list\"", args[0])
			}
			if err != nil || a.json {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "%s is of no more use, and its sessions end\n", terminal.Safe(args[0]))
			return err
		},
	}
}
