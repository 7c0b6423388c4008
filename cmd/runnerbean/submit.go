package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/batch"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/upload"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/jobs"
)

type submitFlags struct {
	program, input, data string
	priority             int64
	timeout, repeat      spanFlag
	labels               map[string]string
	wait                 bool
	batch                batch.Flags
}

const (
	submitHelp = `Submit a job to the node at RUNNERBEAN_URL and print its result URL. The job is
a JSON document in FILE, or on standard input with "-", or made of flags. What
the document leaves out of id, result.url and created is filled in.

Several files are several jobs, and so are several documents in a file, one
behind the other. They go to the node in requests of up to 1,000. What is
refused is told on standard error, does not hold up the others, and makes the
exit code 1.

A tar is a batch: batch.json, and the files that it names as package:NAME in
place of URLs. Files that the nodes have already are not sent again.

With --array, --each-line or --matrix the flags describe a batch: many jobs
that differ in a number or a few values. Texts in --data and --input may have
these values in them, as ${frame}, ${line} or the name of a parameter; without
both the input is an object of them. ${frame:4} is the number with at least 4
digits. The jobs have the labels batch and frame. A batch that is too large for
one document of 1 MiB goes as a tar with its frames in a file.`
	submitExamples = `  runnerbean submit job.json
  runnerbean submit --program forecast --input https://example.org/meter.json --wait
  echo '{"a":1}' | runnerbean submit --program cat --data -
  runnerbean submit a.json b.json
  runnerbean submit jobs.jsonl
  runnerbean submit batch.tar --wait
  runnerbean submit --program render --array 1-1000:10
  runnerbean submit --program parse --each-line urls.txt --input '${line}'
  runnerbean submit --program sweep --matrix a=1,2,3 --matrix b=x,y`
)

func newSubmit(a *app) *cobra.Command {
	var flags submitFlags
	cmd := &cobra.Command{
		Use:   "submit [FILE...]",
		Short: "Submit jobs and print their result URLs",
		Long:  submitHelp, Example: submitExamples,
		RunE: func(cmd *cobra.Command, args []string) error {
			if flags.batch.Given() {
				return flags.submitBatch(cmd, a, args)
			}
			if len(args) == 1 && flags.program == "" && upload.IsTar(args[0]) {
				return submitTar(cmd.Context(), a, args[0], flags.wait)
			}
			if len(args) == 0 || flags.program != "" {
				document, err := flags.document(a, cmd, args)
				if err != nil {
					return err
				}
				return submit(cmd.Context(), a, document, flags.wait)
			}
			documents, err := readDocuments(a.stdin, args)
			switch {
			case err != nil:
				return err
			case len(documents) == 1:
				if documents[0], err = batch.Whole(documents[0]); err != nil {
					return err
				}
				return submit(cmd.Context(), a, documents[0], flags.wait)
			case flags.wait:
				return usageError(errors.New("--wait is for one job"))
			}
			return submitMany(cmd.Context(), a, documents)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.program, "program", "", "name of the program")
	f.StringVar(&flags.input, "input", "", "URL of the input")
	f.StringVar(&flags.data, "data", "", "the input itself, JSON; - reads it from standard input")
	f.Int64Var(&flags.priority, "priority", int64(jobs.DefaultPriority), "0 is the most urgent")
	f.Var(&flags.timeout, "timeout", "limit of one attempt, such as 90s, 1h30m or 2d (default: the program's or the node's)")
	f.Var(&flags.repeat, "repeat", "run again so long after each success, such as 10m or 1d; see \"runnerbean end-loop\"")
	f.StringToStringVar(&flags.labels, "label", nil, "label as key=value, may be repeated")
	flags.batch.Add(f)
	f.BoolVar(&flags.wait, "wait", false, "show progress and print the result; exit code 3 if the job fails")
	return cmd
}

// document returns the job that the arguments or flags describe.
func (f *submitFlags) document(a *app, cmd *cobra.Command, args []string) ([]byte, error) {
	switch {
	case len(args) > 0 && f.program != "":
		return nil, usageError(errors.New("give either a file or --program, not both"))
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
	if f.repeat != 0 {
		document["repeat"] = f.repeat.String()
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

// submitBatch submits a job for each frame of a batch.
func (f *submitFlags) submitBatch(cmd *cobra.Command, a *app, args []string) error {
	switch {
	case len(args) > 0 || f.program == "":
		return usageError(errors.New("a batch needs --program, and no file"))
	}
	job := jobs.Job{Program: f.program, Labels: f.labels, Timeout: jobs.Duration(f.timeout), Repeat: jobs.Duration(f.repeat)}
	if cmd.Flags().Changed("priority") {
		if f.priority < 0 || f.priority > math.MaxUint32 {
			return usageError(fmt.Errorf("--priority must be from 0 to %d", uint32(math.MaxUint32)))
		}
		job.Priority = new(uint32(f.priority))
	}
	if f.input != "" || f.data != "" {
		input, err := f.inputOf(a)
		if err != nil {
			return err
		}
		job.Input.URL, _ = input["url"].(string)
		job.Input.Data, _ = input["data"].(json.RawMessage)
	}
	b, err := f.batch.Read(job, func(name string) (io.ReadCloser, error) {
		if name == "-" {
			return io.NopCloser(a.stdin), nil
		}
		return os.Open(name)
	})
	if err != nil {
		return usageError(err)
	}
	document, frames, err := batch.Document(&b)
	if err != nil {
		return usageError(err)
	}
	fmt.Fprintf(a.stderr, "batch %s; list its jobs with: runnerbean list --label batch=%[1]s\n", b.ID)
	if frames == nil {
		return submit(cmd.Context(), a, document, f.wait)
	}
	return submitFrames(cmd.Context(), a, document, frames, f.wait)
}

// submitFrames submits a batch whose frames are a file of its own.
func submitFrames(ctx context.Context, a *app, document, frames []byte, wait bool) error {
	file, err := os.CreateTemp("", "runnerbean-batch-*.tar")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := errors.Join(batch.WriteTar(file, document, frames), file.Close()); err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	return submitTar(ctx, a, file.Name(), wait)
}

// readInput reads a file, or standard input for "-". It reads one byte more than a
// document may have, so that the node refuses a document that is too large.
func readInput(stdin io.Reader, name string) ([]byte, error) {
	return readUpTo(stdin, name, jobs.MaxDocument+1)
}

func readUpTo(stdin io.Reader, name string, limit int64) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(stdin, limit))
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}

// maxFile is how much is read of one file with many documents, in bytes.
const maxFile = 256 << 20

// readDocuments returns the documents in files. What is no JSON stays whole, so that the
// node says what is wrong with it.
func readDocuments(stdin io.Reader, files []string) (all [][]byte, err error) {
	for _, name := range files {
		text, err := readUpTo(stdin, name, maxFile+1)
		if err != nil {
			return nil, err
		}
		if len(text) > maxFile {
			return nil, fmt.Errorf("%s has more than %d bytes; split it", name, maxFile)
		}
		some, rest := splitText(text)
		if len(some) == 1 && jobdoc.IsArray(some[0]) {
			if elements, fault := jobdoc.Split(some[0], len(text)); fault == nil {
				some = elements
			}
		}
		if len(bytes.TrimSpace(rest)) > 0 || len(some) == 0 {
			some = append(some, rest)
		}
		all = append(all, some...)
	}
	return all, nil
}

// splitText returns the JSON values that follow one another in a text, and what is left.
func splitText(text []byte) (values [][]byte, rest []byte) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	for at := int64(0); ; at = decoder.InputOffset() {
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return values, text[at:]
		}
		values = append(values, value)
	}
}

// submitMany submits documents in order, in few requests.
func submitMany(ctx context.Context, a *app, documents [][]byte) error {
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return err
	}
	var all api.Submitted
	for len(documents) > 0 {
		n, size := 0, 0
		for n < len(documents) && n < api.MaxSubmitted && (n == 0 || size+len(documents[n])+n+2 <= jobs.MaxDocument) {
			size += len(documents[n])
			n++
		}
		body := append(append([]byte{'['}, bytes.Join(documents[:n], []byte{','})...), ']')
		var some api.Submitted
		if err := c.Post(ctx, "/api/v1/jobs", body, &some); err != nil {
			return fmt.Errorf("%w; %d documents were submitted before", err, len(all.Jobs))
		}
		all.Refused, all.Jobs, documents = all.Refused+some.Refused, append(all.Jobs, some.Jobs...), documents[n:]
	}
	return printSubmitted(a, c.Base, all)
}

// printSubmitted prints the URLs of what was recorded, and why the others were refused.
func printSubmitted(a *app, base string, all api.Submitted) error {
	for i, job := range all.Jobs {
		if job.Error != nil {
			fmt.Fprintf(a.stderr, "document %d is refused: %s\n", i+1, terminal.Safe(job.Error.Error()))
		} else if !a.json {
			if _, err := fmt.Fprintln(a.stdout, base+"/"+job.ID); err != nil {
				return err
			}
		}
	}
	if a.json {
		if err := terminal.PrintJSON(a.stdout, all); err != nil {
			return err
		}
	}
	if all.Refused > 0 {
		return fmt.Errorf("%d of %d documents are refused", all.Refused, len(all.Jobs))
	}
	return nil
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
	return submitted(ctx, a, c, pending, wait)
}

// submitTar submits a batch with its files.
func submitTar(ctx context.Context, a *app, path string, wait bool) error {
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return err
	}
	pending, err := upload.Submit(ctx, c, path, a.stderr)
	if err != nil {
		return err
	}
	return submitted(ctx, a, c, pending, wait)
}

// submitted prints where the result of a job will be, or waits for it.
func submitted(ctx context.Context, a *app, c *apiclient.Client, pending jobs.Result, wait bool) error {
	resultURL := c.Base + "/" + pending.ID
	if wait {
		fmt.Fprintln(a.stderr, resultURL)
		return stopped(ctx, watch(ctx, a, c, resultURL), "stopped waiting; the job goes on: "+resultURL)
	}
	if a.json {
		return terminal.PrintJSON(a.stdout, pending)
	}
	_, err := fmt.Fprintln(a.stdout, resultURL)
	return err
}
