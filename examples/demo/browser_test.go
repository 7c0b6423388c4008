package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/examples/balancer/balancertest"
	"github.com/runnerbean/runnerbean/internal/browsertest"
)

// TestVisitorSeesProgressAndThePlot uses the website in a real browser, with a real
// beanstalkd, node and forecast: without a balancer, and through each of those that the
// examples have. The program waits for a signal of the test, so that the page is open while
// the job runs.
func TestVisitorSeesProgressAndThePlot(t *testing.T) {
	programs := build(t)
	browser := browsertest.Start(t)
	for _, way := range []string{"direct", "haproxy", "varnish"} {
		t.Run(way, func(t *testing.T) {
			visit(t, programs, browser, way)
		})
	}
}

// visit orders a forecast and waits for it.
func visit(t *testing.T, programs built, browser context.Context, way string) {
	t.Helper()
	cfg, open := programs.install(t)
	balancer, front := balancertest.All[way], balancertest.FreePort(t)
	if balancer != nil {
		cfg.baseURL = "http://" + front
	}
	var children family
	defer func() {
		if err := children.stop(); err != nil {
			t.Error(err)
		}
	}()
	at, err := start(t.Context(), cfg, &children)
	if err != nil {
		t.Fatal(err)
	}
	if balancer != nil {
		balancer(t, front, strings.TrimPrefix(at.node, "http://"))
	}
	// The browser logs the 404 that a result URL answers until the ledger has the job.
	tab := browsertest.NewTab(t, browser, "404")
	shoot := func(name string) {
		if balancer == nil {
			tab.Shoot(name)
		}
	}
	tab.Do(chromedp.Navigate(at.website+"/"), chromedp.WaitVisible(`button`))
	shoot("demo-order")
	tab.Do(chromedp.Click(`button`), chromedp.WaitVisible(`#result`))
	tab.Until(`document.querySelector('runnerbean-result')?.shadowRoot?.textContent.includes('the gate is shut')`)
	shoot("demo-progress")
	open()
	tab.Until(`document.querySelector('runnerbean-result')?.shadowRoot?.querySelector('svg path')`)
	tab.Until(`document.querySelector('#errors').textContent.includes('%')`)
	shoot("demo-forecast")
	tab.Do(chromedp.Click(`#result`), chromedp.WaitVisible(`details`))
	tab.Until(`document.body.textContent.includes('Succeeded on demo')`)
	tab.Until(`location.href.startsWith(` + strconv.Quote(cmp.Or(cfg.baseURL, at.node)) + `)`)
	shoot("demo-result")
	tab.CheckComplaints()
}

// built are the programs of the demo.
type built struct{ node, website, forecast string }

func build(t *testing.T) built {
	t.Helper()
	folder := t.TempDir()
	b := built{node: filepath.Join(folder, "runnerbean"), website: filepath.Join(folder, "website"), forecast: filepath.Join(folder, "forecast")}
	for out, pkg := range map[string]string{b.node: "../../cmd/runnerbean", b.website: "../website", b.forecast: "../forecast"} {
		if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", out, pkg).CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", pkg, err, text)
		}
	}
	return b
}

// install returns the configuration of a demo of its own, and a function that lets its
// forecast continue.
func (b built) install(t *testing.T) (cfg config, open func()) {
	t.Helper()
	folder := t.TempDir()
	program, gate := filepath.Join(folder, "programs", "forecast"), filepath.Join(folder, "gate")
	if err := os.MkdirAll(program, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg = config{
		once: true, // on free ports
		bin:  b.node, website: b.website, programs: filepath.Dir(program), data: filepath.Join(folder, "data"),
	}
	script := fmt.Sprintf("#!/bin/sh\necho '{\"progress\":0.25,\"message\":\"the gate is shut\"}' >&3\nuntil [ -e %q ]; do sleep 0.05; done\nexec %q\n", gate, b.forecast)
	about, err := os.ReadFile("../forecast/program.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"run": []byte(script), "program.json": about} {
		if err := os.WriteFile(filepath.Join(program, name), text, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := cfg.resolve(); err != nil {
		t.Fatal(err)
	}
	return cfg, func() {
		if err := os.WriteFile(gate, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
