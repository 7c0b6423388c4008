package pages

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/frames"
)

// batchPart is what both pages about a job show if it is a batch or one of its jobs.
type batchPart struct {
	Frames *frames.View
	// Forms are the buttons that act on all frames.
	Forms []batchForm
	// Of leads to the batch of a frame, and What says which of its jobs this is.
	Of   frames.Link
	What string
}

// batchForm is a form with one button.
type batchForm struct {
	Action, Text string
	Grave        bool
	Hidden       []field
}

// frames returns what a page shows of the frames of a job, or nil if it is no batch. The error is
// a problem where the query is wrong.
func (p *Pages) frames(ctx context.Context, job jobs.Result, query url.Values, place frames.Place) (*frames.View, error) {
	if job.Program != jobs.BatchProgram || p.cfg.Frames == nil {
		return nil, nil
	}
	q, err := frames.ReadQuery(query)
	if err != nil {
		return nil, err
	}
	return p.cfg.Frames.View(ctx, job, q, place)
}

// visitorPlace returns where the links of the page at a result URL lead: below it.
func visitorPlace(page, signature string) frames.Place {
	frame := func(number int, _ string) string { return page + "/frames/" + strconv.Itoa(number) }
	return frames.Place{
		Page: page, Signature: signature, Frame: frame, Tar: page + "/bundle.tar", Bundle: page + "/bundle",
		Files: func(number int, job string) string { return frame(number, job) + "/files/" },
	}
}

// operatorPlace returns where the links of the dashboard's page of a batch lead: to other pages of
// the dashboard.
func operatorPlace(root, batch string) frames.Place {
	return frames.Place{
		Page: root + "/jobs/" + batch, Tar: root + "/" + batch + "/bundle.tar", Bundle: root + "/jobs/" + jobs.BundleID(batch),
		Frame: func(_ int, job string) string { return root + "/jobs/" + job },
		Files: func(_ int, job string) string { return root + "/" + job + "/files/" },
	}
}

// ofResult returns the link from the page of a job of a batch to the batch. Only who has come below
// the result URL of the batch gets it: that of a frame alone must not open the others.
func ofResult(path, signature, job string) (of frames.Link, what string) {
	if page, number, found := cutLast(path, "/frames/"); found {
		n, err := strconv.Atoi(number)
		if batch := lastPart(page); err == nil && jobs.ValidID(batch) && jobs.FrameID(batch, n) == job {
			return frames.Link{Text: text.ShortID(batch), Path: visitorPlace(page, signature).Home()}, "Frame " + number
		}
	}
	if page, found := strings.CutSuffix(path, "/bundle"); found {
		if batch := lastPart(page); jobs.ValidID(batch) && jobs.BundleID(batch) == job {
			return frames.Link{Text: text.ShortID(batch), Path: visitorPlace(page, signature).Home()}, "Bundle"
		}
	}
	return frames.Link{}, ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func lastPart(path string) string { return path[strings.LastIndex(path, "/")+1:] }

// ofBatch returns the link from the dashboard's page of a job of a batch to the batch; empty for
// other jobs.
func (p *Pages) ofBatch(ctx context.Context, job string) (of frames.Link, what string, err error) {
	if p.cfg.BatchOf == nil {
		return of, "", nil
	}
	batch, number, err := p.cfg.BatchOf(ctx, job)
	if err != nil || !jobs.ValidID(batch) {
		return of, "", err
	}
	if what = "Bundle"; number >= 0 {
		what = "Frame " + strconv.Itoa(number)
	}
	return frames.Link{Text: text.ShortID(batch), Path: p.root + "/jobs/" + batch}, what, nil
}

// batchForms returns the buttons that act on all frames of a batch. action is where the verbs of
// the batch itself go.
func batchForms(root, action string, d api.Details, rec ledger.Record) (list []batchForm) {
	own := func(verb ledger.Verb, words string) {
		if slices.Contains(d.Allowed, string(verb)) {
			list = append(list, batchForm{action, words, verb == ledger.VerbCancel, []field{{"verb", string(verb)}, {"confirm", "yes"}}})
		}
	}
	if rec.State == jobs.Running {
		list = append(list, batchForm{Action: root + "/jobs/act", Text: "Retry all failed", Hidden: []field{
			{"verb", string(ledger.VerbRetry)},
			{"confirm", "yes"},
			{"all", "yes"},
			{"label", "batch=" + rec.ID},
			{"state", string(jobs.Failed)},
			{fieldBack, rec.ID},
		}})
	}
	if rec.State.Final() {
		own(ledger.VerbRetry, "Retry all failed")
	} else {
		own(ledger.VerbCancel, "Cancel all")
	}
	return list
}
