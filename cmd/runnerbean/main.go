// Runnerbean takes long computations off a web server: a worker node, a
// publisher of results and the command line in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/version"
	"github.com/runnerbean/runnerbean/worker"
)

func main() {
	_ = worker.Protect() // a command may hold a token; a node logs the error
	stop, kill, done := signals()
	err := run(stop, kill, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	done()
	if err != nil {
		if _, told := errors.AsType[*toldError](err); !told {
			fmt.Fprintln(os.Stderr, errorLine(err))
		}
		os.Exit(exitCode(err))
	}
}

// signals returns a context that ends at the first SIGINT or SIGTERM and one
// that ends at the second.
func signals() (stop, kill context.Context, done func()) {
	stop, cancelStop := context.WithCancel(context.Background())
	kill, cancelKill := context.WithCancel(context.Background())
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-c
		cancelStop()
		<-c
		cancelKill()
	}()
	return stop, kill, func() { signal.Stop(c); cancelStop(); cancelKill() }
}

// run runs a command. stop ends it in order, kill at once.
func run(stop, kill context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	root := newRoot(&app{kill: kill, stdin: stdin, stdout: stdout, stderr: stderr})
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(stop)
	var code *codeError
	if errors.Is(err, context.Canceled) && stop.Err() != nil && !errors.As(err, &code) {
		return &codeError{exitStopped, errors.New("interrupted")}
	}
	return err
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "runnerbean",
		Short: "Take long computations off a web server",
		Long: `Runnerbean takes long computations off a web server. A web server puts a JSON
job on beanstalkd; a worker node runs the job's program; the browser reads the
result at a URL that was known before the job ran.

Settings are environment variables, which --env-file reads from a file, too; see
"runnerbean help config".`,
		Version:       version.Get().String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print JSON, for scripts")
	root.PersistentFlags().StringVar(&a.envFile, "env-file", "", "file of settings, NAME=value lines; what is set in the environment counts more")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if a.envFile == "" {
			return nil
		}
		return settings.LoadEnvFile(a.envFile)
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help"))
	})
	root.AddCommand(
		newDev(a), newWorker(a),
		newSubmit(a), newShow(a), newWatch(a), newList(a), newLogs(a), newEndLoop(a),
		newStats(a), newTop(a), newDrain(a), newToken(a), newSign(a), newNodes(a), newInbox(a), newPrune(a),
		newStore(a), newBackup(a), newRestore(a), newBench(a), newDoctor(a), newMigrate(a), newVersion(a), newHelpConfig(a),
	)
	root.AddCommand(newVerbs(a)...)
	root.AddCommand(newControls(a)...)
	return root
}
