package jobs

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs/internal/nodeapi"
	"github.com/runnerbean/runnerbean/jobs/internal/web"
)

// New returns a client, which the caller closes. It connects when it is first
// used. The error is for a bad Config.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, tube: queue.InboxTube(cfg.Prefix)}
	if err := queue.ValidTube(c.tube); err != nil {
		return nil, fmt.Errorf("jobs: prefix %q: %w", cfg.Prefix, err)
	}
	if cfg.Node != "" {
		if c.tube = queue.NodeInboxTube(cfg.Prefix, cfg.Node); queue.ValidTube(c.tube) != nil || strings.Contains(cfg.Node, "/") {
			return nil, fmt.Errorf("jobs: %q is not the name of a node", cfg.Node)
		}
	}
	c.cfg.HTTP, c.own = web.NewClient(cfg.HTTP)
	c.api, err = nodeapi.New(nodeapi.Config{Base: cfg.API, Token: cfg.Token, HTTP: c.cfg.HTTP, Timeout: cfg.Timeout})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	c.queue, err = queue.NewProducer(queue.Config{
		Addrs: cfg.Beanstalkd, Timeout: cfg.Timeout, Conns: cfg.Conns, Copies: cfg.Copies, MaxBody: cfg.MaxBody, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	if cfg.Wrap != nil {
		c.wrapped = checked(cfg.Wrap(c.enqueueAll))
	}
	return c, nil
}

// withDefaults fills and checks a Config.
func (cfg Config) withDefaults() (Config, error) {
	if cfg.Grace < 0 || cfg.Idle < 0 || cfg.Timeout < 0 || cfg.MaxResult < 0 || cfg.MaxBody < 0 || cfg.Conns < 0 || cfg.Copies < 0 {
		return cfg, errors.New("jobs: negative time, size or number in Config")
	}
	cfg.Prefix = cmp.Or(cfg.Prefix, defaultPrefix)
	cfg.BaseURL = strings.TrimRight(cmp.Or(cfg.BaseURL, defaultBaseURL), "/")
	cfg.MaxBody = min(cmp.Or(cfg.MaxBody, MaxQueued), MaxDocument)
	if cfg.Durable {
		cfg.MaxBody, cfg.Copies = MaxDocument, 1
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, queue.DefaultTimeout)
	cfg.Grace = cmp.Or(cfg.Grace, defaultGrace)
	cfg.Idle = cmp.Or(cfg.Idle, defaultIdle)
	cfg.MaxResult = cmp.Or(cfg.MaxResult, defaultMaxResult)
	cfg.Logger = cmp.Or(cfg.Logger, slog.Default())
	cfg.API = strings.TrimRight(cmp.Or(cfg.API, cfg.BaseURL), "/")
	return cfg, cmp.Or(checkBase("BaseURL", cfg.BaseURL), checkBase("API", cfg.API))
}

// checkBase checks a URL that others are made from by appending to it.
func checkBase(field, base string) error {
	u, err := web.ParseURL(base)
	if err != nil {
		return fmt.Errorf("jobs: %s: %w", field, err)
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("jobs: %s must have neither user, query nor fragment", field)
	}
	return nil
}
