// Command catalog counts the packages of Debian's package lists in four stages, each a program
// for Runnerbean: catalog makes the jobs of the others, catalog-fetch keeps one part of the lists,
// catalog-parse reads its records, and catalog-aggregate adds up and draws.
//
// One binary is all of them: the variable RUNNERBEAN_PROGRAM says which one runs, in a shell the
// first argument. "catalog serve" serves the lists of this machine over HTTP.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// exitData is EX_DATAERR: another attempt with this input would fail, too.
const exitData = 65

// stages are the programs, by name.
var stages = map[string]func(place) error{
	"catalog":           plan,
	"catalog-fetch":     fetch,
	"catalog-parse":     parse,
	"catalog-aggregate": aggregate,
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		if errors.Is(err, errData) {
			os.Exit(exitData)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	name := os.Getenv("RUNNERBEAN_PROGRAM")
	if name == "" && len(args) > 0 {
		name = args[0]
	}
	if name == "serve" {
		return serve(ctx, args[1:], os.Stdout)
	}
	stage, ok := stages[name]
	if !ok {
		return errors.New("usage: catalog serve | catalog | catalog-fetch | catalog-parse | catalog-aggregate")
	}
	return stage(place{stdin: os.Stdin, stdout: os.Stdout, events: os.NewFile(3, "events"), inputs: "inputs", out: "out"})
}
