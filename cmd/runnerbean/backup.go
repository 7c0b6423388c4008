package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/backup"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/text"
)

func newBackup(a *app) *cobra.Command {
	var keysFile string
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Write ledger, results, logs and files into one archive, while nodes run",
		Long: `Write a copy of the ledger and all objects that it names (results, logs, files)
into one archive. Nodes may run and work meanwhile. The file has its name only when
it is complete and on the disk; "-" writes to standard output. It is private, since
documents and results are.

Keys, tokens and secrets are in no archive. --keys writes them to a file of their
own. Run it as the user of the node, on its machine.`,
		Example: `  runnerbean backup /backup/runnerbean.tar.zst
  runnerbean backup --keys /safe/runnerbean.keys /backup/runnerbean.tar.zst
  runnerbean backup - | ssh backup@example.com 'cat > runnerbean.tar.zst'`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return runBackup(cmd.Context(), a, args[0], keysFile) },
	}
	cmd.Flags().StringVar(&keysFile, "keys", "", "file for keys, tokens and secrets; without it they are not saved")
	return cmd
}

func runBackup(ctx context.Context, a *app, file, keysFile string) error {
	set, err := settings.Read()
	if err != nil {
		return err
	}
	began := time.Now()
	o := backup.Options{Settings: set, File: file, KeysFile: keysFile}
	report := a.stdout
	if file == "-" {
		o.File, o.Out, report = "", a.stdout, a.stderr
		if terminal.Interactive(a.stdout) {
			return usageError(errors.New("standard output is a terminal: give a file, or send it into a pipe"))
		}
	}
	var end func()
	o.Progress, end = a.bar("backup")
	summary, err := backup.Write(ctx, o)
	end()
	if err != nil {
		return err
	}
	if err := printBackup(a, report, "saved", summary, time.Since(began)); err != nil {
		return err
	}
	if summary.Missing > 0 {
		return fmt.Errorf("the archive is complete but for %s whose results or files are missing from the store, such as %s; see \"runnerbean retry --missing-result\"",
			text.Count(summary.Missing, "success", "successes"), terminal.Safe(summary.MissingJobs[0]))
	}
	return nil
}

// bar returns a progress bar on a terminal, and what removes it.
func (a *app) bar(what string) (p backup.Progress, end func()) {
	var bar terminal.CountBar
	p.Begin = func(total int) {
		if !a.json {
			bar = terminal.NewCountBar(a.stderr, what, total)
		}
	}
	p.Set = func(done int) { bar.Set(done) }
	return p, func() { bar.End() }
}

func printBackup(a *app, w io.Writer, done string, s backup.Summary, took time.Duration) error {
	if a.json {
		return terminal.PrintJSON(w, s)
	}
	_, err := fmt.Fprintf(w, "%s the ledger %s of %s: %s that have run, %s, %s, in %s\n", done, terminal.Safe(s.Ledger), terminal.Time(s.Time),
		text.Count(s.Jobs, "job", "jobs"), text.Count(s.Objects, "object", "objects"), bytesize.Size(s.Bytes), terminal.Duration(took))
	return err
}

func newRestore(a *app) *cobra.Command {
	var check bool
	var keysFile string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Restore an archive of \"backup\", or check one",
		Long: `Restore an archive of "backup" into the ledger and the store of the settings.
There must be no ledger, and the folder of the store must be absent or empty. All
digests are checked. The ledger comes last: if restore ends early, no node starts,
and the same command begins again. "-" reads standard input.

With --check it reads the archive, checks all digests and that each success in the
ledger has its result, and restores nothing.`,
		Example: `  runnerbean restore --check /backup/runnerbean.tar.zst
  runnerbean restore --keys /safe/runnerbean.keys /backup/runnerbean.tar.zst`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if check && keysFile != "" {
				return usageError(errors.New("--check reads no keys: leave out --keys"))
			}
			return runRestore(cmd.Context(), a, args[0], keysFile, check)
		},
	}
	cmd.Flags().BoolVar(&check, "check", false, "only read and check the archive")
	cmd.Flags().StringVar(&keysFile, "keys", "", "file of keys, tokens and secrets to restore, too")
	return cmd
}

func runRestore(ctx context.Context, a *app, file, keysFile string, check bool) error {
	began := time.Now()
	in, err := openArchive(a, file)
	if err != nil {
		return err
	}
	defer in.Close()
	progress, end := a.bar("restore")
	var summary backup.Summary
	done := "checked"
	if check {
		summary, err = backup.Check(ctx, in, progress)
	} else {
		var set settings.Settings
		if set, err = settings.Read(); err != nil {
			return err
		}
		done = "restored"
		summary, err = backup.Restore(ctx, set, in, keysFile, progress)
	}
	end()
	if err != nil {
		return err
	}
	return printBackup(a, a.stdout, done, summary, time.Since(began))
}

func openArchive(a *app, file string) (io.ReadCloser, error) {
	if file == "-" {
		if terminal.Interactive(a.stdin) {
			return nil, usageError(errors.New("standard input is a terminal: give a file, or a pipe"))
		}
		return io.NopCloser(a.stdin), nil
	}
	return os.Open(file)
}
