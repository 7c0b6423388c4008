// Package charttest makes series for the tests of charts and pages.
package charttest

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/api"
)

// Forecast returns a result as a forecasting program writes it: n half-hourly
// values of the example's data, with an interval that widens.
func Forecast(t testing.TB, n int) json.RawMessage {
	t.Helper()
	start, values := demand(t, 2688, n)
	lower, upper := make([]float64, n), make([]float64, n)
	for i, v := range values {
		width := v * (0.01 + 0.06*float64(i)/float64(n))
		lower[i], upper[i] = v-width, v+width
	}
	series := map[string]any{"start": start, "interval_s": 1800, "unit": "MW", "values": values, "lower": lower, "upper": upper}
	doc, err := json.Marshal(map[string]any{"series": series, "level": 0.95, "model": map[string]any{
		"kind": "multiplicative", "seasons": []int{48, 336}, "parameters": map[string]any{"alpha": 0.0411, "gamma": 0.1114, "phi": 0.8719}, "values": 2688,
	}})
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// demand reads n half-hourly values of the example's data, from row from.
func demand(t testing.TB, from, n int) (start string, values []float64) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root(t), "examples/website/england-wales-demand-2000.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(data)), "\n")[1:]
	for _, row := range rows[from : from+n] {
		at, value, _ := strings.Cut(row, ",")
		if start == "" {
			start = at
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	return start, values
}

// root returns the folder of the module.
func root(t testing.TB) string {
	t.Helper()
	dir := ".."
	for range 10 {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		dir = filepath.Join(dir, "..")
	}
	t.Fatal("the module's folder is not found")
	return ""
}

// Waves returns a series of n points for each name.
func Waves(names []string, n int) []api.Series {
	var list []api.Series
	for i, name := range names {
		s := api.Series{Name: name}
		for k := range n {
			v := 8 - float64(i) + 4*math.Sin(float64(k)/9+float64(i))
			s.Points = append(s.Points, &v)
		}
		list = append(list, s)
	}
	return list
}
