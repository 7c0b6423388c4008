// Command chaos tests Runnerbean's guarantees. It runs the real binary and a
// real beanstalkd as processes, kills and stops them and cuts their
// connections. Package check then evaluates what was seen. The command imports
// nothing of the product. "go run ./chaos -short c1" runs one scenario in its
// short form.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == testbed.StreamArgument {
		os.Exit(testbed.RunStreamProgram())
	}
	if testbed.CalledAsProgram() {
		os.Exit(testbed.RunProgram(programs))
	}
	if len(os.Args) == 4 && os.Args[1] == hostileChild {
		runHostileChild(os.Args[2], os.Args[3])
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(o.names) == 2 && o.names[0] == "check" {
		return recheck(o, stdout)
	}
	chosen, err := choose(o.names)
	if err != nil {
		return err
	}
	return runAll(ctx, o, chosen, stdout, stderr)
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Uint64Var(&o.seed, "seed", 0, "seed of all random choices (default: a new one)")
	flags.BoolVar(&o.short, "short", false, "run the short forms")
	flags.BoolVar(&o.json, "json", false, "print the figures as JSON")
	flags.StringVar(&o.bin, "bin", "", "runnerbean binary (default: built from ./cmd/runnerbean)")
	flags.StringVar(&o.keep, "keep", "", "folder for histories, logs and data (default: a temporary one, removed unless something failed)")
	flags.StringVar(&o.doc, "doc", "", "Markdown file to write the figures into")
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: chaos [flags] [c1 c2 ...]\n       chaos check HISTORY")
		flags.PrintDefaults()
		for _, s := range scenarios {
			fmt.Fprintf(stderr, "  %s\t%s\n", s.name, s.title)
		}
	}
	err = flags.Parse(args)
	o.names = flags.Args()
	if o.seed == 0 {
		o.seed = rand.Uint64()>>32 | 1
	}
	return o, err
}
