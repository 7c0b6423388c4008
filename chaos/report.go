package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

var errFailed = errors.New("some figures failed")

// report prints all figures. It fails if a figure failed.
func report(o options, results []result, stdout io.Writer) error {
	bad := slices.ContainsFunc(results, func(v result) bool { return !v.ok() })
	if err := table(o, results, stdout); err != nil {
		return err
	}
	if o.doc != "" {
		if err := writeMarkdown(o.doc, results); err != nil {
			return err
		}
	}
	if bad {
		return errFailed
	}
	return nil
}

func table(o options, results []result, stdout io.Writer) error {
	if o.json {
		enc := json.NewEncoder(stdout)
		enc.SetIndent("", " ")
		return enc.Encode(results)
	}
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "scenario\tfigure\twanted\tgot\t\tseconds")
	for _, v := range results {
		for _, f := range v.Figures {
			mark := "pass"
			if !f.OK {
				mark = "FAIL"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%.0f\n", v.Scenario, f.Name, f.Wanted, f.Got, mark, v.Seconds)
		}
	}
	return w.Flush()
}
