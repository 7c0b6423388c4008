// Command website is an example of a web server that submits long jobs to Runnerbean.
// It serves a series of electricity demand, takes orders for forecasts of it, and puts
// them on beanstalkd. The page that it answers with already has the URL of the result.
// The package jobs is the only part of Runnerbean that it imports.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "website:", err)
		os.Exit(1)
	}
}

// settings come from flags, whose defaults come from the environment.
type settings struct {
	listen     string // host:port
	beanstalkd string // host:port, several separated by commas
	prefix     string // of tube names
	node       string // start of the result URLs, as browsers reach the node
	base       string // URL of this server, as nodes reach it
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("website", flag.ContinueOnError)
	flags.SetOutput(stderr)
	add := func(to *string, name, variable, value, usage string) {
		if v := getenv(variable); v != "" {
			value = v
		}
		flags.StringVar(to, name, value, usage+" ($"+variable+")")
	}
	add(&s.listen, "listen", "WEBSITE_LISTEN", "127.0.0.1:8080", "address to listen on")
	add(&s.beanstalkd, "beanstalkd", "RUNNERBEAN_BEANSTALKD", "127.0.0.1:11300", "beanstalkd servers, host:port, comma-separated")
	add(&s.prefix, "prefix", "RUNNERBEAN_PREFIX", "runnerbean", "what all tube names begin with")
	add(&s.node, "node", "RUNNERBEAN_BASE_URL", "http://127.0.0.1:8420", "a node, or what stands before the nodes, as browsers reach it")
	add(&s.base, "base-url", "WEBSITE_URL", "", "this server as the nodes reach it (default http:// and the listen address)")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("%q is one argument too many", flags.Arg(0))
	}
	s.node = strings.TrimRight(s.node, "/")
	s.base = strings.TrimRight(s.base, "/")
	return s, s.check()
}

func (s settings) check() error {
	if err := checkURL(s.node); err != nil {
		return fmt.Errorf("-node: %w", err)
	}
	if s.base == "" {
		return nil
	}
	if err := checkURL(s.base); err != nil {
		return fmt.Errorf("-base-url: %w", err)
	}
	return nil
}

// checkURL also refuses characters that would end a directive of the content security
// policy.
func checkURL(text string) error {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, " ;,'\"") {
		return fmt.Errorf("%q is not a URL such as http://127.0.0.1:8420", text)
	}
	return nil
}

func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) error {
	s, err := parse(args, getenv, stderr)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	defer listener.Close()
	if s.base == "" {
		s.base = "http://" + listener.Addr().String()
	}
	client, err := jobs.New(jobs.Config{Beanstalkd: strings.Split(s.beanstalkd, ","), Prefix: s.prefix, BaseURL: s.node, Logger: log})
	if err != nil {
		return err
	}
	defer client.Close()
	site, err := newSite(client, s.node, s.base, log)
	if err != nil {
		return err
	}
	log.Info("website is up", "url", s.base, "listen", listener.Addr().String())
	return serve(ctx, listener, site.handler())
}

// patience is how long running requests may take to finish when the server stops.
const patience = 5 * time.Second

// serve serves until ctx ends, and lets running requests finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	late, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := server.Shutdown(late)
	<-ended
	if errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	}
	return err
}
