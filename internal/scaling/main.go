// Command scaling simulates a pool of nodes on one PostgreSQL, with measured costs, and shows
// where more nodes run no more jobs. "make simulate" runs it; docs/scaling.md has the result.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scaling:", err)
		os.Exit(2)
	}
}

func run(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("scaling", flag.ContinueOnError)
	p := Pool{BeatEvery: 5 * time.Second}
	ms := func(name string, value float64, help string) *float64 {
		return flags.Float64(name, value, help+", in milliseconds of the write lock")
	}
	base := ms("base", 0.9, "a transaction with its sync")
	accept, sent := ms("accept", 0.19, "to accept a job"), ms("sent", 0.05, "to mark that its message was put")
	claim, finish := ms("claim", 0.45, "to claim it"), ms("finish", 0.37, "to end it")
	beat := ms("beat", 0.12, "a heartbeat")
	flags.IntVar(&p.Slots, "slots", 8, "slots of a node")
	seconds := flags.Float64("span", 60, "simulated time, in seconds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	of := func(ms *float64) time.Duration { return time.Duration(*ms * float64(time.Millisecond)) }
	p.Costs = Costs{Base: of(base), Accept: of(accept), Sent: of(sent), Claim: of(claim), Finish: of(finish), Beat: of(beat)}
	return table(p, time.Duration(*seconds*float64(time.Second)), stdout)
}

// table prints jobs per second by the number of nodes and the time of a program.
func table(p Pool, span time.Duration, stdout io.Writer) error {
	w := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	programs := []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second, 20 * time.Second, 200 * time.Second}
	fmt.Fprint(w, "nodes")
	for _, d := range programs {
		fmt.Fprintf(w, "\tprograms of %v", d)
	}
	fmt.Fprintln(w)
	for _, n := range []int{1, 2, 4, 10, 30, 100, 300, 1000} {
		fmt.Fprint(w, n)
		for _, d := range programs {
			p.Nodes, p.Program = n, d
			o := Simulate(p, max(span, 10*d))
			ideal := float64(n*p.Slots) / d.Seconds()
			fmt.Fprintf(w, "\t%.3g/s (%.0f %%)", o.Jobs, 100*o.Jobs/ideal)
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}
