package jobs_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestData(t *testing.T) {
	t.Parallel()
	type window struct {
		Meter int               `json:"meter"`
		From  time.Time         `json:"from"`
		Empty string            `json:"empty,omitempty"`
		None  []int             `json:"none"`
		Raw   json.RawMessage   `json:"raw"`
		Map   map[string]string `json:"map"`
		Text  []byte            `json:"text"`
		Wait  time.Duration     `json:"wait"`
	}
	v := window{
		Meter: 42, From: time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC), Raw: json.RawMessage(`{"a":1}`),
		Map: map[string]string{"b": "<&>", "a": "ü"}, Text: []byte("x"), Wait: time.Second,
	}
	const want = `{"meter":42,"from":"2026-11-22T06:16:00Z","none":null,"raw":{"a":1},"map":{"a":"ü","b":"<&>"},"text":"eA==","wait":1000000000}`
	if diff := cmp.Diff(jobs.Input{Data: json.RawMessage(want)}, jobs.Data(v)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff("null", string(jobs.Data(nil).Data)); diff != "" {
		t.Error(diff)
	}
}

// TestDataThatCannotBeWritten checks that the caller learns why from Enqueue.
func TestDataThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	c := newClient(t, jobs.Config{Beanstalkd: []string{"127.0.0.1:1"}}) // nothing must be put
	type loop struct{ Next *loop }
	cycle := &loop{}
	cycle.Next = cycle
	for name, tt := range map[string]struct {
		value any
		why   string
	}{
		"NaN":       {[]float64{1, math.NaN()}, "NaN"},
		"channel":   {map[string]any{"a": make(chan int)}, "chan int"},
		"cycle":     {cycle, "cycle"},
		"not UTF-8": {"a\xff", "UTF-8"},
		"a method":  {refuses{}, "not today"},
	} {
		input := jobs.Data(tt.value)
		if json.Valid(input.Data) {
			t.Errorf("%s: %s is JSON", name, input.Data)
		}
		_, err := c.Enqueue(t.Context(), jobs.Job{Program: "forecast", Input: input})
		fault, ok := errors.AsType[*jobs.Fault](err)
		if !ok || fault.Pointer != "/input/data" || !strings.Contains(fault.Message, tt.why) || len(fault.Message) > 300 {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

type refuses struct{}

func (refuses) MarshalJSON() ([]byte, error) {
	return nil, errors.New("not today, " + strings.Repeat("x", 1000))
}

func TestDecodeResult(t *testing.T) {
	t.Parallel()
	var forecast struct{ Values []float64 }
	done := jobs.Result{ID: anID, State: jobs.Succeeded, Result: json.RawMessage(`{"values":[24.9,25.3]}`)}
	if err := done.Decode(&forecast); err != nil || len(forecast.Values) != 2 {
		t.Errorf("got %v, %v", forecast, err)
	}
	done.Result = json.RawMessage(`{"values":"x"}`)
	if err := done.Decode(&forecast); err == nil || errors.Is(err, jobs.ErrNotSucceeded) || !strings.Contains(err.Error(), anID) {
		t.Errorf("a value of another kind: %v", err)
	}
	failed := jobs.Result{ID: anID, State: jobs.Failed, Error: &jobs.Error{Class: jobs.OutcomeFailed, Message: "no such meter", Pointer: "/meter"}}
	err := failed.Decode(&forecast)
	why, ok := errors.AsType[*jobs.Error](err)
	if !errors.Is(err, jobs.ErrNotSucceeded) || !ok || why.Class != jobs.OutcomeFailed || !strings.Contains(err.Error(), "failed: no such meter (at /meter)") {
		t.Errorf("failed: %v", err)
	}
	running := jobs.Result{ID: anID, State: jobs.Running, Partial: json.RawMessage(`{"values":[1]}`)}
	if err := running.Decode(&forecast); !errors.Is(err, jobs.ErrNotSucceeded) || !strings.Contains(err.Error(), "running") {
		t.Errorf("running: %v", err)
	}
}
