package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const someInput = `{"frame":3,"volatility":0.2,"strike":100,"paths":20000}`

func runIn(t *testing.T, folder, in string, events io.Writer) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(strings.NewReader(in), &out, folder, events); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestPrice compares with the price of an Asian option with these parameters. The geometric
// mean, whose price is known in closed form, is a lower bound: 5.35 (Glasserman, section 3.2.2).
func TestPrice(t *testing.T) {
	t.Parallel()
	var got output
	if err := json.Unmarshal([]byte(runIn(t, t.TempDir(), someInput, io.Discard)), &got); err != nil {
		t.Fatal(err)
	}
	v := 0.2 * math.Sqrt((253.0*505)/(6*252*252))
	drift := (0.03-0.02)*253/(2*252) + v*v/2
	d := (math.Log(1) + drift + v*v/2) / v
	normal := func(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
	geometric := 100 * math.Exp(-0.03) * (math.Exp(drift)*normal(d) - normal(d-v))
	if got.Price < geometric-3*got.Error || got.Price > geometric*1.1 || got.Error > 0.1 || got.Paths != 20000 {
		t.Errorf("%+v, the geometric mean costs %.3f", got, geometric)
	}
}

// TestContinued breaks a run off after a checkpoint and continues it: the result is the same.
func TestContinued(t *testing.T) {
	t.Parallel()
	want := runIn(t, t.TempDir(), someInput, io.Discard)
	folder := t.TempDir()
	saved := 0
	events := writer(func(p []byte) (int, error) { // it is killed after the second checkpoint
		if saved++; saved == 2 {
			panic(errKilled)
		}
		return len(p), nil
	})
	func() {
		defer func() {
			if recover() != errKilled {
				t.Error("the run was not broken off")
			}
		}()
		runIn(t, folder, someInput, events)
	}()
	if got := runIn(t, folder, someInput, io.Discard); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if _, err := os.Stat(filepath.Join(folder, "state.json")); err != nil {
		t.Error(err)
	}
}

var errKilled = errors.New("killed")

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

func TestInput(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "{}", `{"volatility":-1,"strike":100}`, `{"volatility":0.2,"strike":100,"paths":1e12}`} {
		if err := run(strings.NewReader(in), io.Discard, t.TempDir(), io.Discard); !errors.Is(err, errInput) {
			t.Errorf("%s: %v", in, err)
		}
	}
}
