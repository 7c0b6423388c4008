// Demo shows Runnerbean as its users see it. It starts "runnerbean dev" and the example
// website, orders a forecast as a browser would, follows the result URL, and compares
// the forecast with the actual values.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// startTime is how long a child may take until it answers.
const startTime = 30 * time.Second

func main() {
	var cfg config
	flag.StringVar(&cfg.bin, "bin", "bin/runnerbean", "the runnerbean binary")
	flag.StringVar(&cfg.programs, "programs", "bin/programs", "folder of the installed programs")
	flag.StringVar(&cfg.website, "website", "bin/website", "the website's binary")
	flag.StringVar(&cfg.data, "data", "", "folder for everything that the demo writes (default: .demo; with -once one of its own, which goes with it)")
	flag.BoolVar(&cfg.once, "once", os.Getenv("DEMO_ONCE") != "", "run the one job, on ports of its own, and exit; also by DEMO_ONCE=1")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the demo at once
	err := run(ctx, cfg)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, cfg config) (err error) {
	remove, err := cfg.resolve()
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = remove()
		}
	}()
	var children family
	defer func() { err = errors.Join(err, children.stop()) }()
	at, err := start(ctx, cfg, &children)
	if err != nil {
		return err
	}
	if err := order(ctx, at); err != nil {
		return err
	}
	if cfg.once {
		return nil
	}
	fmt.Printf("\nOpen the website:  %s\nAll jobs:          %s\nCtrl-C ends it all.\n", at.website, at.node)
	select {
	case <-ctx.Done():
		return nil
	case name := <-children.ended:
		return fmt.Errorf("%s has ended by itself; its log is in %s", name, cfg.data)
	}
}

// start starts the node and the website, and waits until both answer.
func start(ctx context.Context, cfg config, children *family) (addresses, error) {
	queue, err := cfg.port("beanstalkd", "127.0.0.1:11300")
	if err != nil {
		return addresses{}, err
	}
	node, err := cfg.port("the node", "127.0.0.1:8420")
	if err != nil {
		return addresses{}, err
	}
	site, err := cfg.port("the website", "127.0.0.1:8080")
	if err != nil {
		return addresses{}, err
	}
	at := addresses{beanstalkd: queue, node: "http://" + node, website: "http://" + site}
	environment := append(inherited(),
		"RUNNERBEAN_BEANSTALKD="+queue, "RUNNERBEAN_LISTEN="+node, "RUNNERBEAN_BASE_URL="+cmp.Or(cfg.baseURL, at.node),
		"RUNNERBEAN_DATA="+filepath.Join(cfg.data, "data"), "RUNNERBEAN_PROGRAMS="+cfg.programs,
		"RUNNERBEAN_NODE=demo", "WEBSITE_LISTEN="+site, "WEBSITE_URL="+at.website)
	children.ended = make(chan string, 2)
	if err := children.start("node", filepath.Join(cfg.data, "node.log"), environment, cfg.bin, "dev"); err != nil {
		return at, err
	}
	if err := children.start("website", filepath.Join(cfg.data, "website.log"), environment, cfg.website); err != nil {
		return at, err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := children.answers(ctx, at.node+"/readyz"); err != nil {
		return at, err
	}
	return at, children.answers(ctx, at.website+"/")
}

// inherited returns the environment without the settings of nodes and websites, which
// may belong to others than the demo.
func inherited() []string {
	return slices.DeleteFunc(os.Environ(), func(setting string) bool {
		return strings.HasPrefix(setting, "RUNNERBEAN_") || strings.HasPrefix(setting, "WEBSITE_")
	})
}
