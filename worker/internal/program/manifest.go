package program

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

const (
	maxManifest               = 1 << 20 // bytes of a program.json
	maxDuration               = 365 * 24 * time.Hour
	maxWeight                 = 1000
	minLimit    bytesize.Size = 1 << 20
)

// Manifest is a program.json: what the operator says about a program. In its zero
// value, which stands for no program.json, every member has its default.
type Manifest struct {
	Description string `json:"description"`
	// Input and Result are JSON Schemas.
	Input  jsontext.Value `json:"input"`
	Result jsontext.Value `json:"result"`
	// Timeout and Attempts hold for jobs that name none themselves.
	Timeout  jobs.Duration `json:"timeout"`
	Attempts int           `json:"attempts"`
	// Keep says how long jobs are kept after their end that say nothing themselves.
	Keep jobs.Keep `json:"keep"`
	// Stall is how long the program may show no activity. nil means the default of
	// the node, zero no limit.
	Stall *jobs.Duration `json:"stall"`
	// Memory and Scratch bound the program's memory and working directory, in bytes.
	// They cannot raise the node's own limits.
	Memory  bytesize.Size `json:"memory"`
	Scratch bytesize.Size `json:"scratch"`
	// Weight is how many jobs the program starts in its turn, beside other programs with
	// jobs of the same priority. nil means 1.
	Weight *int `json:"weight"`
	// Environment names variables of the node that the program may see.
	Environment []string `json:"environment"`
	// Enqueue names the programs of which a job of this one may make jobs.
	Enqueue []string `json:"enqueue"`
	// Deterministic means that equal inputs give equal results.
	Deterministic bool `json:"deterministic"`
	// Checkpoint names the signal on which the program saves a checkpoint: SIGUSR1 or
	// SIGUSR2. Empty: it does not save on request.
	Checkpoint string `json:"checkpoint"`
	// Mode is ModeRun or ModeStream; empty is ModeRun.
	Mode    string  `json:"mode"`
	Recycle Recycle `json:"recycle"`

	// InputSchema and ResultSchema are compiled; nil if there is none.
	InputSchema  *validate.Schema `json:"-"`
	ResultSchema *validate.Schema `json:"-"`
}

// checkpointSignals are those on which a program may save. Nothing else sends them.
var checkpointSignals = map[string]unix.Signal{"SIGUSR1": unix.SIGUSR1, "SIGUSR2": unix.SIGUSR2}

// CheckpointSignal returns the signal on which the program saves a checkpoint, or 0.
func (m *Manifest) CheckpointSignal() unix.Signal { return checkpointSignals[m.Checkpoint] }

// The modes of a program.
const (
	// ModeRun starts a process for each job.
	ModeRun = "run"
	// ModeStream starts processes that run one job after another. Jobs of the program
	// may share a process.
	ModeStream = "stream"
)

// Recycle says when a process of a stream program is replaced: before the next job after
// so many jobs, or so long after its start. Zero is never.
type Recycle struct {
	Jobs  int           `json:"jobs"`
	After jobs.Duration `json:"after"`
}

// Stream reports whether processes of the program run one job after another.
func (m *Manifest) Stream() bool { return m.Mode == ModeStream }

var programName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// decodeManifest reads a program.json. It refuses unknown members: one may be a
// limit that is misspelt.
func decodeManifest(data []byte) (Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(data, &m, json.RejectUnknownMembers(true)); err != nil {
		return m, fmt.Errorf("program.json: %w", strictjson.Readable(err))
	}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("program.json: %w", err)
	}
	var err error
	if m.InputSchema, err = compile("input", m.Input); err != nil {
		return m, err
	}
	m.ResultSchema, err = compile("result", m.Result)
	return m, err
}

func (m *Manifest) check() error {
	if m.Timeout < 0 || time.Duration(m.Timeout) > maxDuration {
		return errors.New("timeout must be between 0 and 365d")
	}
	if m.Attempts < 0 || m.Attempts > 1000 {
		return errors.New("attempts must be between 0 and 1000")
	}
	if m.Weight != nil && (*m.Weight < 1 || *m.Weight > maxWeight) {
		return fmt.Errorf("weight must be between 1 and %d", maxWeight)
	}
	if err := m.checkLimits(); err != nil {
		return err
	}
	if err := m.checkMode(); err != nil {
		return err
	}
	for _, name := range m.Enqueue {
		if !programName.MatchString(name) || name == jobs.BatchProgram {
			return fmt.Errorf("enqueue: %q is not the name of a program", name)
		}
	}
	for _, name := range m.Environment {
		if !envName.MatchString(name) {
			return fmt.Errorf("environment: %q is not the name of a variable", name)
		}
		if strings.HasPrefix(name, "RUNNERBEAN_") || slices.Contains(nodeSecrets, name) {
			return fmt.Errorf("environment: %s: the node's own settings and keys are not passed to programs", name)
		}
	}
	return nil
}

// nodeSecrets are variables with which a node opens the ledger and the store. A program that
// has them could change results.
var nodeSecrets = []string{
	"PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "PGSSLKEY", "PGSSLPASSWORD",
	"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN",
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
}

// checkLimits refuses limits with which no program can run. If a person writes 512,
// they mean mebibytes.
func (m *Manifest) checkLimits() error {
	if m.Stall != nil && (*m.Stall < 0 || time.Duration(*m.Stall) > maxDuration) {
		return errors.New("stall must be between 0 and 365d")
	}
	if m.Memory != 0 && m.Memory < minLimit {
		return fmt.Errorf(`memory must be at least %s; write it as "512MiB"`, minLimit)
	}
	if m.Scratch != 0 && m.Scratch < minLimit {
		return fmt.Errorf(`scratch must be at least %s; write it as "512MiB"`, minLimit)
	}
	return nil
}

func (m *Manifest) checkMode() error {
	switch {
	case m.Checkpoint != "" && m.CheckpointSignal() == 0:
		return fmt.Errorf(`checkpoint must be "SIGUSR1" or "SIGUSR2", the signal on which the program saves, not %.40q`, m.Checkpoint)
	case m.Checkpoint != "" && m.Stream():
		return errors.New(`checkpoint is not for programs with "mode":"stream"`)
	}
	switch m.Mode {
	case "", ModeRun:
		if m.Recycle != (Recycle{}) {
			return errors.New(`recycle is for programs with "mode":"stream"`)
		}
	case ModeStream:
	default:
		return fmt.Errorf("mode must be %q or %q", ModeRun, ModeStream)
	}
	if m.Recycle.Jobs < 0 {
		return errors.New("recycle: jobs must not be negative")
	}
	if m.Recycle.After < 0 || time.Duration(m.Recycle.After) > maxDuration {
		return errors.New("recycle: after must be between 0 and 365d")
	}
	return nil
}

// compile compiles the schema in a member of program.json. It returns nil if there
// is none.
func compile(member string, text jsontext.Value) (*validate.Schema, error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	compiled, err := validate.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("program.json: %s: %w", member, err)
	}
	return compiled, nil
}
