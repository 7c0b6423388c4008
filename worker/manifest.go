package worker

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	maxManifest      = 1 << 20 // bytes of a program.json
	longest          = 365 * 24 * time.Hour
	leastLimit  Size = 1 << 20
)

// manifest is program.json: what whoever installed a program says about it.
type manifest struct {
	Description string `json:"description"`
	// Input and Result are JSON Schemas.
	Input  jsontext.Value `json:"input"`
	Result jsontext.Value `json:"result"`
	// Timeout and Attempts hold for jobs that name none themselves.
	Timeout  jobs.Duration `json:"timeout"`
	Attempts int           `json:"attempts"`
	// Stall is how long the program may give no sign of life; zero is for ever,
	// nil the node's default.
	Stall *jobs.Duration `json:"stall"`
	// Memory and Scratch bound the program's memory and working directory, where
	// they are less than the node's own limits.
	Memory  Size `json:"memory"`
	Scratch Size `json:"scratch"`
	// Environment names variables of the node that the program may see.
	Environment []string `json:"environment"`
	// Deterministic says that equal inputs give equal results.
	Deterministic bool `json:"deterministic"`

	input, result *validate.Schema
}

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// decodeManifest reads program.json strictly: an unknown member is more likely
// a limit that was misspelt than one that may be ignored.
func decodeManifest(data []byte) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(data, &m, json.RejectUnknownMembers(true)); err != nil {
		return m, fmt.Errorf("program.json: %w", readable(err))
	}
	if err := m.check(); err != nil {
		return m, fmt.Errorf("program.json: %w", err)
	}
	var err error
	if m.input, err = compile("input", m.Input); err != nil {
		return m, err
	}
	m.result, err = compile("result", m.Result)
	return m, err
}

func (m *manifest) check() error {
	if m.Timeout < 0 || time.Duration(m.Timeout) > longest {
		return errors.New("timeout must be between 0 and 365d")
	}
	if m.Attempts < 0 || m.Attempts > 1000 {
		return errors.New("attempts must be between 0 and 1000")
	}
	if err := m.checkLimits(); err != nil {
		return err
	}
	for _, name := range m.Environment {
		if !envName.MatchString(name) {
			return fmt.Errorf("environment: %q is not the name of a variable", name)
		}
		if strings.HasPrefix(name, "RUNNERBEAN_") {
			return fmt.Errorf("environment: %s: the node's own settings are not passed to programs", name)
		}
	}
	return nil
}

// checkLimits refuses limits with which no program can run: whoever writes 512
// means mebibytes.
func (m *manifest) checkLimits() error {
	if m.Stall != nil && (*m.Stall < 0 || time.Duration(*m.Stall) > longest) {
		return errors.New("stall must be between 0 and 365d")
	}
	if m.Memory != 0 && m.Memory < leastLimit {
		return fmt.Errorf(`memory must be at least %s; write it as "512MiB"`, leastLimit)
	}
	if m.Scratch != 0 && m.Scratch < leastLimit {
		return fmt.Errorf(`scratch must be at least %s; write it as "512MiB"`, leastLimit)
	}
	return nil
}

// compile compiles a member of program.json that is a schema; nil where there
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

// readable drops what a decoding error says about Go types.
func readable(err error) error {
	var semantic *json.SemanticError
	if !errors.As(err, &semantic) {
		return err
	}
	at := string(semantic.JSONPointer)
	if at == "" {
		at = "the document"
	}
	if semantic.Err != nil {
		return fmt.Errorf("%s: %w", at, semantic.Err)
	}
	return fmt.Errorf("%s: a JSON %s is not what is wanted there", at, semantic.JSONKind)
}
