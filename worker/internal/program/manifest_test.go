package program

import (
	"strings"
	"testing"
)

func TestLimitsInManifest(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]string{
		`{"weight":0}`:                                  "weight must be between 1 and 1000",
		`{"weight":1001}`:                               "weight must be between 1 and 1000",
		`{"weight":1.5}`:                                "weight",
		`{"stall":"-1s"}`:                               "stall must be between 0 and 365d",
		`{"stall":"9000h"}`:                             "stall must be between 0 and 365d",
		`{"memory":512}`:                                `memory must be at least 1.0 MiB; write it as "512MiB"`,
		`{"memory":"-1MiB"}`:                            "/memory: \"-1MiB\" is not a number of bytes",
		`{"scratch":"x"}`:                               "/scratch: \"x\" is not a number of bytes",
		`{"scratch":"2EiB"}`:                            "/scratch: \"2EiB\" is not a number of bytes",
		`{"scratch":"1B"}`:                              `scratch must be at least 1.0 MiB`,
		`{"mode":"Stream"}`:                             `mode must be "run" or "stream"`,
		`{"recycle":{"jobs":5}}`:                        `recycle is for programs with "mode":"stream"`,
		`{"mode":"run","recycle":{"after":"1h"}}`:       `recycle is for programs with "mode":"stream"`,
		`{"mode":"stream","recycle":{"jobs":-1}}`:       "recycle: jobs must not be negative",
		`{"mode":"stream","recycle":{"after":"-1s"}}`:   "recycle: after must be between 0 and 365d",
		`{"mode":"stream","recycle":{"after":"9000h"}}`: "recycle: after must be between 0 and 365d",
		`{"mode":"stream","recycle":{"job":1}}`:         "job",
		`{"checkpoint":"SIGKILL"}`:                      `checkpoint must be "SIGUSR1" or "SIGUSR2", the signal on which the program saves, not "SIGKILL"`,
		`{"checkpoint":true}`:                           "checkpoint",
		`{"checkpoint":"SIGUSR1","mode":"stream"}`:      `checkpoint is not for programs with "mode":"stream"`,
		`{"mode":"stream","recycle":1000}`:              "recycle",
		`{"environment":["PGPASSWORD"]}`:                "not passed to programs",
		`{"environment":["AWS_SECRET_ACCESS_KEY"]}`:     "not passed to programs",
	} {
		if _, err := decodeManifest([]byte(document)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %s", document, err, want)
		}
	}
}

func TestModeInManifest(t *testing.T) {
	t.Parallel()
	for document, stream := range map[string]bool{
		`{}`: false, `{"mode":null,"recycle":null}`: false, `{"mode":"run"}`: false, `{"mode":"stream"}`: true,
		`{"mode":"stream","recycle":{"jobs":100,"after":"1h"}}`: true,
	} {
		if m, err := decodeManifest([]byte(document)); err != nil || m.Stream() != stream {
			t.Errorf("%s: %v, %v", document, m.Stream(), err)
		}
	}
}

// TestNullInManifest accepts null for members that are not set, as libraries write it.
func TestNullInManifest(t *testing.T) {
	t.Parallel()
	m, err := decodeManifest([]byte(`{"description":null,"input":null,"result":null,"timeout":null,"attempts":null,"stall":null,
		"memory":null,"scratch":null,"environment":null,"deterministic":null,"weight":null}`))
	if err != nil || m.InputSchema != nil || m.ResultSchema != nil || m.Stall != nil || m.Timeout != 0 || m.Memory != 0 || m.Environment != nil || m.Weight != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

// FuzzManifest checks that accepted values are within their bounds.
func FuzzManifest(f *testing.F) {
	for _, seed := range []string{`{}`, `{"description":"d","timeout":"1m","attempts":2,"environment":["A"],"input":{"type":"object"},"deterministic":true}`, `{"timeout":"-1s"}`, `{"weight":1000}`, `{"weight":-1}`, `{"mode":"stream","recycle":{"jobs":3,"after":"1h"}}`, `{"environment":["RUNNERBEAN_TOKEN"]}`, `{"stall":"15m","memory":"512MiB","scratch":1073741824}`, `{"input":{"$ref":"#"}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := decodeManifest(data)
		if err != nil {
			return
		}
		if m.Timeout < 0 || m.Attempts < 0 || m.Memory < 0 || m.Scratch < 0 || m.Stall != nil && *m.Stall < 0 || m.Weight != nil && (*m.Weight < 1 || *m.Weight > maxWeight) || m.Recycle.Jobs < 0 || m.Recycle.After < 0 || !m.Stream() && m.Recycle != (Recycle{}) {
			t.Errorf("accepted %+v", m)
		}
		for _, name := range m.Environment {
			if strings.HasPrefix(name, "RUNNERBEAN_") || strings.ContainsAny(name, "= \x00") {
				t.Errorf("accepted the variable %q", name)
			}
		}
		for _, schema := range []error{m.InputSchema.Check(t.Context(), []byte("{}")), m.ResultSchema.Check(t.Context(), []byte("1"))} {
			_ = schema // must not panic
		}
	})
}
