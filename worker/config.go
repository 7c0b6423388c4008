package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/results"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/report"
	"github.com/runnerbean/runnerbean/worker/internal/checkpoint"
	"github.com/runnerbean/runnerbean/worker/internal/counting"
	"github.com/runnerbean/runnerbean/worker/internal/growinglog"
	"github.com/runnerbean/runnerbean/worker/internal/input"
	"github.com/runnerbean/runnerbean/worker/internal/publish"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

const (
	// quarantineAfter is how long a job in quarantine is due until a node takes no other
	// work because of it.
	quarantineAfter = time.Minute
	// holdsEvery is how often the ledger is asked whether running attempts are still their
	// jobs' newest. Those of a node that was suspended for too long are not.
	holdsEvery = 5 * time.Second
)

// Config of a Worker. A field that is zero has its default.
type Config struct {
	// Queue names the beanstalkd servers. Each slot serves one of them, in turn. If
	// there are fewer slots than servers each slot serves several.
	Queue queue.Config
	// Prefix of all tube names. Default "runnerbean".
	Prefix string
	// Ledger and Store are closed by the caller. Required.
	Ledger Ledger
	Store  publish.Store
	// Logs takes the logs of running programs where the store is a bucket. Default: the
	// store takes them, each time the whole log of at most 512 KiB.
	Logs growinglog.Ledger
	// Checkpoints is the checkpoints in the ledger. Default: none are kept.
	Checkpoints checkpoint.Ledger
	// Counters takes what programs count. Default: it is not added up over time.
	Counters counting.Ledger
	// OnCounted gets what was counted, every few seconds one call for each counter that has
	// grown. It must not block. Default: nothing.
	OnCounted func(program, counter string, n float64)
	// Results is the results in the ledger. Required.
	Results publish.Results
	// Published opens the results of other jobs, in the ledger or the store. Required.
	Published input.Results
	// Packages is the files of packages in the ledger. Required.
	Packages input.Packages
	// LedgerResults is the size of the largest result document that is published in the
	// ledger, in bytes: at most results.Max. Larger ones are objects of the store. Default
	// none.
	LedgerResults int
	// Events is the log of events of the ledger. Required.
	Events publish.Events
	// Nodes is the nodes of the ledger, and Queues its queues. Required.
	Nodes  Nodes
	Queues Queues
	// Node is the name of this node, and Instance the id of this start of it. Required.
	Node, Instance string
	// BaseURL is what the result URLs begin with that this node serves. Required.
	BaseURL string
	// Programs is the folder of the installed programs. Required.
	Programs string
	// Scratch is a folder for this instance alone. What an earlier one has left there is
	// removed. Required unless Slots is 0 and stays 0.
	Scratch string
	// Unreported is a folder for the ends of attempts while the ledger does not answer. New
	// records those of earlier instances. Default: they are in memory only.
	Unreported string
	// Slots is how many programs run at the same time, until SetSlots: at most
	// api.MaxSlots. A negative number is one for each processor.
	Slots int

	// Grace is the time between SIGTERM and SIGKILL. Default 10 s.
	Grace time.Duration
	// ShutdownGrace is how long running jobs may go on after the worker takes no more.
	// Default 30 s. Negative: not at all.
	ShutdownGrace time.Duration
	// Timeout of one attempt if neither job nor program has one. Default 1 h.
	Timeout time.Duration
	// Attempts that may end in error if neither job nor program has a number. Default 3.
	Attempts int
	// The wait before another attempt doubles from BackoffBase to BackoffMax. Defaults
	// 1 s and 5 min.
	BackoffBase, BackoffMax time.Duration
	// Jitter returns a number in [0, 1) that spreads waits. Default random.
	Jitter func() float64

	// Stall is how long a program may show no activity (output, event, CPU time) if
	// its program.json has no limit. Default no limit.
	Stall time.Duration
	// MaxStdout bounds a program's output in bytes. Default 16 MiB.
	MaxStdout int64
	// MaxScratch bounds the working directory of an attempt, inputs included, and
	// MaxMemory the memory of its program, in bytes. A program.json may lower them.
	// Default no limit.
	MaxScratch, MaxMemory int64
	// MaxOpenFiles bounds the open files of each process of a program. Default as for
	// the node itself.
	MaxOpenFiles uint64
	// MaxInput bounds an input in bytes. Default 256 MiB.
	MaxInput int64
	// MaxFiles bounds the input files of one job and what its needs have left together, and the artifacts of one
	// attempt, in bytes. Default 10 GiB.
	MaxFiles int64
	// FetchTimeout bounds the fetch of one input, tries included. Default 5 min.
	FetchTimeout time.Duration
	// Outbound restricts from where inputs may come.
	Outbound outbound.Config

	// Send puts messages for jobs that are queued because another one has ended.
	// Default: the reconciler does it.
	Send func(context.Context, []ledger.Record) error
	// Enqueue records the document of a job that the program of another job, parent, has made.
	// See [enqueue.Config]. Default: programs may make no jobs.
	Enqueue func(ctx context.Context, parent string, document []byte) error
	// OnPrograms gets the installed programs after every change. Default: nothing.
	OnPrograms func([]nodes.Program)
	// OnTrouble is called after a change of Worker.Trouble. Default: nothing.
	OnTrouble func()
	// OnEnded gets a report on every attempt whose end is in the ledger, once. It is
	// called by several goroutines, which run jobs: it must not block. Default: nothing.
	OnEnded func(report.Attempt)
	// Logger. Default slog.Default().
	Logger *slog.Logger

	// Only tests set these.
	quarantineAfter time.Duration
	scanEvery       time.Duration // of the programs folder
	holdsEvery      time.Duration
	inputPatience   time.Duration
	stage           func(string) // is called at some stages of an attempt
	onPause         func()       // is called when a slot takes no work for a while
}

// withDefaults fills in what is missing and checks the rest.
func (c Config) withDefaults() (Config, error) {
	c.fill()
	for _, check := range []func() error{c.checkNames, c.checkURL, c.checkFolders} {
		if err := check(); err != nil {
			return c, fmt.Errorf("worker: %w", err)
		}
	}
	return c, nil
}

func (c *Config) fill() {
	orDefault(&c.Prefix, "runnerbean")
	orDefault(&c.Grace, 10*time.Second)
	orDefault(&c.ShutdownGrace, 30*time.Second)
	orDefault(&c.Timeout, time.Hour)
	orDefault(&c.Attempts, 3)
	orDefault(&c.BackoffBase, time.Second)
	orDefault(&c.BackoffMax, 5*time.Minute)
	orDefault(&c.quarantineAfter, quarantineAfter)
	orDefault(&c.scanEvery, time.Second)
	orDefault(&c.inputPatience, inputPatience)
	orDefault(&c.holdsEvery, holdsEvery)
	orDefault(&c.MaxStdout, 16<<20)
	orDefault(&c.MaxInput, 256<<20)
	orDefault(&c.MaxFiles, 10<<30)
	orDefault(&c.FetchTimeout, 5*time.Minute)
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	if len(c.Queue.Addrs) == 0 {
		c.Queue.Addrs = []string{queue.DefaultAddr}
	}
	if c.Slots < 0 {
		c.Slots = runtime.NumCPU()
	}
	if c.onPause == nil {
		c.onPause = func() {}
	}
	if c.Jitter == nil {
		c.Jitter = rand.Float64
	}
	if c.OnPrograms == nil {
		c.OnPrograms = func([]nodes.Program) {}
	}
	if c.OnTrouble == nil {
		c.OnTrouble = func() {}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// atStage lets tests act at a stage of an attempt.
func (c *Config) atStage(stage string) {
	if c.stage != nil {
		c.stage(stage)
	}
}

func (c *Config) checkNames() error {
	switch {
	case c.Events == nil || c.Nodes == nil || c.Queues == nil:
		return errors.New("Config.Events, Config.Nodes and Config.Queues are required")
	case c.Ledger == nil:
		return errors.New("Config.Ledger is required")
	case c.Store == nil || c.Results == nil || c.Published == nil || c.Packages == nil:
		return errors.New("Config.Store, Config.Results, Config.Published and Config.Packages are required")
	case c.LedgerResults < 0 || c.LedgerResults > results.Max:
		return fmt.Errorf("Config.LedgerResults must be from 0 to %d", results.Max)
	case c.Node == "" || c.Instance == "":
		return errors.New("Config.Node and Config.Instance are required")
	case c.Slots > api.MaxSlots:
		return fmt.Errorf("Config.Slots must be at most %d", api.MaxSlots)
	case c.Attempts < 1:
		return errors.New("Config.Attempts must be at least 1")
	case c.Stall < 0 || c.MaxScratch < 0 || c.MaxMemory < 0:
		return errors.New("Config.Stall, MaxScratch and MaxMemory must not be negative")
	}
	// The longest program name must still make a good tube name.
	return queue.ValidTube(c.tube(strings.Repeat("x", 64)))
}

// tube returns the run tube of a program.
func (c *Config) tube(program string) string {
	return queue.RunTube(c.Prefix, c.Ledger.ID(), program)
}

func (c *Config) checkURL() error {
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("Config.BaseURL %q is not an http or https URL", c.BaseURL)
	}
	return nil
}

func (c *Config) checkFolders() error {
	programs, err := resolveFolder(c.Programs)
	if err != nil {
		return fmt.Errorf("programs folder: %w", err)
	}
	c.Programs = programs
	if c.Slots == 0 && c.Scratch == "" {
		return nil
	}
	if c.Scratch, err = resolveFolder(c.Scratch); err != nil {
		return fmt.Errorf("scratch folder: %w", err)
	}
	if err := workdir.NewRoot(c.Scratch, c.Logger).Probe(); err != nil {
		return fmt.Errorf("scratch folder cannot be written: %w", err)
	}
	return nil
}

// resolveFolder returns path as an absolute path without symbolic links.
func resolveFolder(path string) (string, error) {
	if path == "" {
		return "", errors.New("none is named")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", path)
	}
	return path, err
}
