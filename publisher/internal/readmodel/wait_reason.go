package readmodel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// needsShown bounds the number of needed jobs that a reason names.
const needsShown = 8

// explainQueued adds what a queued job waits for, and its position.
func (p *Jobs) explainQueued(ctx context.Context, r *jobs.Result, rec ledger.Record) error {
	if !r.NotBefore.IsZero() {
		r.Reason = text.JoinClauses(r.Reason, "starts not before "+r.NotBefore.UTC().Format(time.RFC3339))
		if set := rec.StartAfter; !set.IsZero() && !set.Equal(rec.NotBefore) {
			r.Reason = text.JoinClauses(r.Reason, "its document says not before "+set.UTC().Format(time.RFC3339))
		}
		return nil
	}
	n, known, err := p.cfg.Ledger.Position(ctx, r.ID)
	if err != nil {
		return err
	}
	if known {
		r.Position = &n
	}
	if why := health.PausedTubeReason(p.cfg.Paused(), r.Program); why != "" {
		r.Reason = text.JoinClauses(r.Reason, why)
		return nil
	}
	nodes, err := p.nodes.Now(ctx)
	if err != nil {
		return err
	}
	sharing, err := p.sharing.get(ctx, strconv.FormatUint(uint64(rec.Priority), 10), nowAge, func(ctx context.Context) ([]string, error) {
		return p.cfg.Ledger.Queues.Sharing(ctx, rec.Priority)
	})
	if err != nil {
		return err
	}
	r.Reason = text.JoinClauses(r.Reason, health.CapacityOf(nodes, r.Program).WaitReason(r.Program, n, known))
	r.Reason = text.JoinClauses(r.Reason, health.SharesReason(nodes, r.Program, sharing))
	return nil
}

// explainWaiting adds the jobs that a job waits for.
func (p *Jobs) explainWaiting(ctx context.Context, r *jobs.Result, rec ledger.Record) error {
	var doc struct {
		Needs []string `json:"needs"`
	}
	if json.Unmarshal(rec.Document, &doc) != nil || len(doc.Needs) == 0 {
		return nil
	}
	var open []string
	missing := false
	for _, need := range doc.Needs[:min(len(doc.Needs), needsShown)] {
		id := jobs.NeedID(need)
		state, err := p.stateOf(ctx, id)
		if err != nil {
			return err
		}
		missing = missing || state == notKnown
		if state != string(jobs.Succeeded) {
			open = append(open, id+" ("+state+")")
		}
	}
	if more := len(doc.Needs) - needsShown; more > 0 {
		open = append(open, fmt.Sprintf("and up to %d more", more))
	}
	if len(open) > 0 {
		r.Reason = "waits for the jobs that it needs: " + strings.Join(open, ", ")
	}
	// The job may also wait for its program.
	if _, program, ok := strings.Cut(rec.Reason, "; "); ok && strings.HasPrefix(rec.Reason, "waits for ") {
		r.Reason = program
		if len(open) > 0 {
			r.Reason = text.JoinClauses("waits for the jobs that it needs: "+strings.Join(open, ", "), program)
		}
	}
	if missing {
		return p.explainMissing(ctx, r)
	}
	return nil
}

// notKnown is the state of a job that has not been submitted yet.
const notKnown = "not known yet"

// explainMissing adds the reasons why a job that is not known yet may come late, or never.
func (p *Jobs) explainMissing(ctx context.Context, r *jobs.Result) error {
	need, found, err := p.cfg.Ledger.Stuck.MissingOf(ctx, r.ID)
	if err != nil {
		return err
	}
	if found {
		r.Reason = text.JoinClauses(r.Reason, "needs job "+need.Need+", which nobody has put since "+need.Since.Format(time.RFC3339))
	}
	drains, err := p.cfg.Drains(ctx)
	if err == nil && drains.Queue != nil {
		r.Reason = text.JoinClauses(r.Reason, "the queue is drained: no new job is accepted")
	}
	return err
}

func (p *Jobs) stateOf(ctx context.Context, id string) (string, error) {
	rec, err := p.cfg.Ledger.Get(ctx, id)
	if errors.Is(err, ledger.ErrUnknown) {
		return notKnown, nil
	}
	return string(rec.State), err
}
