package main

import (
	"embed"
	"html/template"
	"log/slog"

	"github.com/runnerbean/runnerbean/jobs"
)

// site has the handlers of the website. It stores nothing about jobs, because the URL
// of a page contains the job id.
type site struct {
	client *jobs.Client
	node   string // URL without a trailing slash
	base   string
	demand series
	pages  *template.Template
	log    *slog.Logger
}

func newSite(client *jobs.Client, node, base string, log *slog.Logger) (*site, error) {
	demand, err := readDemand(demandCSV)
	if err != nil {
		return nil, err
	}
	pages, err := template.ParseFS(assets, "assets/*.html")
	if err != nil {
		return nil, err
	}
	return &site{client: client, node: node, base: base, demand: demand, pages: pages, log: log}, nil
}

//go:embed assets
var assets embed.FS
