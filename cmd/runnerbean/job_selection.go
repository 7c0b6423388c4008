package main

import (
	"cmp"
	"errors"
	"net/url"

	"github.com/spf13/pflag"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
)

// jobFilter are the flags of list and of verbs that select jobs. A job must match all
// flags that are set.
type jobFilter struct {
	program, state, node, label, text string
	since, until                      pastTime
}

// register adds the flags to a command. states are the states that --state allows.
func (f *jobFilter) register(flags *pflag.FlagSet, states string) {
	flags.StringVar(&f.program, "program", "", "only jobs of this program")
	flags.StringVar(&f.state, "state", "", "only jobs in this state ("+states+")")
	flags.StringVar(&f.node, "node", "", "only jobs that this node holds or held last")
	flags.StringVar(&f.label, "label", "", "only jobs with this label, key=value")
	flags.Var(&f.since, "since", "only jobs accepted since then: "+pastTimeHelp)
	flags.Var(&f.until, "until", "only jobs accepted before then")
	flags.StringVar(&f.text, "text", "", "only jobs with this in their id, labels or messages")
}

// query returns the filter as parameters of GET /api/v1/jobs.
func (f *jobFilter) query() url.Values {
	query := url.Values{}
	for name, value := range map[string]string{
		"program": f.program, "state": f.state, "node": f.node, "label": f.label, "text": f.text,
		"since": f.since.String(), "until": f.until.String(),
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}

// jobSelection are the flags that select jobs for a verb.
type jobSelection struct {
	filter     jobFilter
	all, yes   bool
	dependents bool // of a retry
	// Of prune.
	older  pastTime
	dryRun bool
}

// register adds the flags to a command. states are those that --state allows; "" is all
// but succeeded.
func (s *jobSelection) register(flags *pflag.FlagSet, states string) {
	s.filter.register(flags, cmp.Or(states, "waiting, queued, running, failed, cancelled"))
	flags.BoolVar(&s.all, "all", false, "every job to which it applies")
	flags.BoolVarP(&s.yes, "yes", "y", false, "do not ask")
}

// retryFlags are the flags of retry alone.
type retryFlags struct{ asNew, missing, dependents bool }

// body returns the body of a retry of one job; nil if no flag is set.
func (f retryFlags) body() []byte {
	switch {
	case f.asNew:
		return []byte(`{"as_new":true}`)
	case f.missing:
		return []byte(`{"missing_result":true}`)
	}
	return nil
}

// check refuses ids together with flags, and neither of them.
func (s *jobSelection) check(ids []string, again retryFlags) error {
	some := len(s.filter.query()) > 0
	switch {
	case len(ids) > 0 && (some || s.all):
		return errors.New("give either ids or a selection by flags, not both")
	case again.asNew && again.missing:
		return errors.New("--missing-result runs a job again under its id: leave out --as-new")
	case again.dependents && (again.asNew || again.missing):
		return errors.New("--with-dependents retries failed jobs: leave out --as-new and --missing-result")
	case len(ids) == 0 && again.asNew:
		return errors.New("--as-new is for jobs that are given by their ids")
	case len(ids) == 0 && !some && !s.all:
		return errors.New("say which jobs: by id, or with --program, --state, --node, --label, --since, --until, --text or --all")
	case some && s.all:
		return errors.New("--all stands alone: leave it out to select with the other flags")
	}
	return nil
}

// request returns the selection as the body of a verb on many jobs.
func (s *jobSelection) request() api.Selection {
	f := s.filter
	return api.Selection{
		Program: f.program, State: jobs.State(f.state), Node: f.node, Label: f.label,
		Since: f.since.Time, Until: f.until.Time, EndedBefore: s.older.Time, Text: f.text, All: s.all,
		WithDependents: s.dependents,
	}
}
