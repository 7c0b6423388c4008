package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/runnerbean/runnerbean/internal/browsertest"
)

// TestVisitorSeesProgressAndThePlot uses the website in a real browser, with a real
// beanstalkd, node and forecast. The program waits for a signal of the test, so that
// the page is open while the job runs.
func TestVisitorSeesProgressAndThePlot(t *testing.T) {
	cfg, open := install(t)
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
	// The browser logs the 404 that a result URL answers until the ledger has the job.
	tab := browsertest.NewTab(t, browsertest.Start(t), "404")
	tab.Do(chromedp.Navigate(at.website+"/"), chromedp.WaitVisible(`button`))
	tab.Shoot("demo-order")
	tab.Do(chromedp.Click(`button`), chromedp.WaitVisible(`#result`))
	tab.Until(`document.querySelector('runnerbean-result').shadowRoot.textContent.includes('the gate is shut')`)
	tab.Shoot("demo-progress")
	open()
	tab.Until(`document.querySelector('runnerbean-result').shadowRoot.querySelector('svg path')`)
	tab.Until(`document.querySelector('#errors').textContent.includes('%')`)
	tab.Shoot("demo-forecast")
	tab.Do(chromedp.Click(`#result`), chromedp.WaitVisible(`details`))
	tab.Until(`document.body.textContent.includes('Succeeded on demo')`)
	tab.Shoot("demo-result")
	tab.CheckComplaints()
}

// install builds what the demo runs. It returns the configuration and a function that
// lets the forecast continue.
func install(t *testing.T) (cfg config, open func()) {
	t.Helper()
	folder := t.TempDir()
	program := filepath.Join(folder, "programs", "forecast")
	if err := os.MkdirAll(program, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg = config{
		once: true, // on free ports
		bin:  filepath.Join(folder, "runnerbean"), website: filepath.Join(folder, "website"),
		programs: filepath.Dir(program), data: filepath.Join(folder, "data"),
	}
	real, gate := filepath.Join(folder, "forecast"), filepath.Join(folder, "gate")
	for out, pkg := range map[string]string{cfg.bin: "../../cmd/runnerbean", cfg.website: "../website", real: "../forecast"} {
		if text, err := exec.CommandContext(t.Context(), "go", "build", "-o", out, pkg).CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", pkg, err, text)
		}
	}
	script := fmt.Sprintf("#!/bin/sh\necho '{\"progress\":0.25,\"message\":\"the gate is shut\"}' >&3\nuntil [ -e %q ]; do sleep 0.05; done\nexec %q\n", gate, real)
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
