package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

type submitFlags struct {
	program, input, data string
	priority             int64
	timeout              spanFlag
	labels               map[string]string
	wait                 bool
}

func newSubmit(a *app) *cobra.Command {
	var flags submitFlags
	cmd := &cobra.Command{
		Use:   "submit [FILE]",
		Short: "Submit a job and print its result URL",
		Long: `Submit a job to the node at RUNNERBEAN_URL and print its result URL. The job is
a JSON document in FILE, or on standard input with "-", or made of flags. What
the document leaves out of id, result.url and created is filled in.`,
		Example: `  runnerbean submit job.json
  runnerbean submit --program forecast --input https://example.org/meter.json --wait
  echo '{"a":1}' | runnerbean submit --program cat --data -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			document, err := flags.document(a, cmd, args)
			if err != nil {
				return err
			}
			return submit(cmd.Context(), a, document, flags.wait)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.program, "program", "", "name of the program")
	f.StringVar(&flags.input, "input", "", "URL of the input")
	f.StringVar(&flags.data, "data", "", "the input itself, JSON; - reads it from standard input")
	f.Int64Var(&flags.priority, "priority", int64(jobs.DefaultPriority), "0 is the most urgent")
	f.Var(&flags.timeout, "timeout", "limit of one attempt, such as 90s, 1h30m or 2d (default: the program's or the node's)")
	f.StringToStringVar(&flags.labels, "label", nil, "label as key=value, may be repeated")
	f.BoolVar(&flags.wait, "wait", false, "show progress and print the result; exit code 3 if the job fails")
	return cmd
}

// document returns the job that the arguments or flags describe.
func (f *submitFlags) document(a *app, cmd *cobra.Command, args []string) ([]byte, error) {
	switch {
	case len(args) == 1 && f.program != "":
		return nil, usageError(errors.New("give either a file or --program, not both"))
	case len(args) == 1:
		return readInput(a.stdin, args[0])
	case f.program == "":
		return nil, usageError(errors.New("give a file with a job, or --program with --input or --data"))
	}
	document := map[string]any{"program": f.program}
	input, err := f.inputOf(a)
	if err != nil {
		return nil, err
	}
	document["input"] = input
	if cmd.Flags().Changed("priority") {
		document["priority"] = f.priority
	}
	if f.timeout != 0 {
		document["timeout"] = f.timeout.String()
	}
	if len(f.labels) > 0 {
		document["labels"] = f.labels
	}
	return json.Marshal(document)
}

func (f *submitFlags) inputOf(a *app) (map[string]any, error) {
	if (f.input == "") == (f.data == "") {
		return nil, usageError(errors.New("give either --input or --data"))
	}
	if f.input != "" {
		return map[string]any{"url": f.input}, nil
	}
	data := []byte(f.data)
	if f.data == "-" {
		var err error
		if data, err = readInput(a.stdin, "-"); err != nil {
			return nil, err
		}
	}
	if !json.Valid(data) {
		return nil, usageError(errors.New("--data is not JSON"))
	}
	return map[string]any{"data": json.RawMessage(data)}, nil
}

// readInput reads a file, or standard input for "-". It reads one byte more than a
// document may have, so that the node refuses a document that is too large.
func readInput(stdin io.Reader, name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(stdin, jobs.MaxDocument+1))
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, jobs.MaxDocument+1))
}

func submit(ctx context.Context, a *app, document []byte, wait bool) error {
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return err
	}
	if len(strings.TrimSpace(string(document))) == 0 {
		return usageError(errors.New("the document is empty"))
	}
	var pending jobs.Result
	if err := c.Post(ctx, "/api/v1/jobs", document, &pending); err != nil {
		return err
	}
	resultURL := c.Base + "/" + pending.ID
	if wait {
		fmt.Fprintln(a.stderr, resultURL)
		return stopped(ctx, watch(ctx, a, c, resultURL), "stopped waiting; the job goes on: "+resultURL)
	}
	if a.json {
		return terminal.PrintJSON(a.stdout, pending)
	}
	_, err = fmt.Fprintln(a.stdout, resultURL)
	return err
}
