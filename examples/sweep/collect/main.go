// Command collect makes a table of the points of a sweep: the bundle of its batch. It writes
// out/prices.csv, and the table as its result.
package main

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// point is the result of one frame.
type point struct {
	Volatility float64 `json:"volatility"`
	Strike     float64 `json:"strike"`
	Price      float64 `json:"price"`
	Error      float64 `json:"error"`
	Paths      int     `json:"paths"`
}

func main() {
	if err := run("inputs/needs", "out"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(needs, out string) error {
	points, err := read(needs)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(out, "prices.csv"), points); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"points": points})
}

// read reads the results of all frames, by volatility and strike.
func read(needs string) (points []point, err error) {
	files, err := filepath.Glob(filepath.Join(needs, "*", "result.json"))
	for _, file := range files {
		text, err := os.ReadFile(file)
		var document struct{ Result point }
		if err == nil {
			err = json.Unmarshal(text, &document)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		points = append(points, document.Result)
	}
	slices.SortFunc(points, func(a, b point) int {
		return cmp.Or(cmp.Compare(a.Volatility, b.Volatility), cmp.Compare(a.Strike, b.Strike))
	})
	return points, err
}

func write(path string, points []point) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	w := csv.NewWriter(file)
	number := func(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }
	records := [][]string{{"volatility", "strike", "price", "error"}}
	for _, p := range points {
		records = append(records, []string{number(p.Volatility), number(p.Strike), number(p.Price), number(p.Error)})
	}
	if err := w.WriteAll(records); err != nil {
		return err
	}
	return file.Close()
}
