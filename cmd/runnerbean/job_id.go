package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// minIDPart is how many characters of an id must be given.
	minIDPart = 6
	// maxCandidates is how many jobs an error names.
	maxCandidates = 10
	// maxIDPages bounds how many pages of jobs are read for one id.
	maxIDPages = 50
)

// jobURL returns an argument that is a URL, else the result URL of the job that [jobID]
// finds.
func jobURL(ctx context.Context, c *apiclient.Client, arg string) (string, error) {
	if u, err := url.Parse(arg); err == nil && u.Host != "" {
		return arg, nil
	}
	id, err := jobID(ctx, c, arg)
	return c.Base + "/" + id, err
}

// jobID returns the id of the job that an argument names: by its id, its result URL, or
// a part of its id. A part is the beginning, the end, or both around … or ..., as lists
// show it. A part of several ids is an error that names their jobs.
func jobID(ctx context.Context, c *apiclient.Client, arg string) (string, error) {
	path, _, _ := strings.Cut(arg, "?")
	id := strings.ToLower(path[strings.LastIndexByte(path, '/')+1:])
	if jobs.ValidID(id) {
		return id, nil
	}
	part, ok := partOfID(arg)
	if !ok {
		return "", usageError(fmt.Errorf("%q is neither a job's id, nor %d characters of one, nor its URL", terminal.Safe(terminal.Shorten(arg, 70)), minIDPart))
	}
	found, err := candidates(ctx, c, part)
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", fmt.Errorf("no job has an id with %q; \"runnerbean list\" lists the jobs", arg)
	case len(found) == 1:
		return found[0].ID, nil
	}
	var text strings.Builder
	for _, r := range found[:min(len(found), maxCandidates)] {
		fmt.Fprintf(&text, "\n  %s  %s  %s  %s", terminal.Safe(r.ID), terminal.Safe(r.Program), terminal.Safe(string(r.State)), terminal.Time(r.Created))
	}
	if len(found) > maxCandidates {
		text.WriteString("\n  and more")
	}
	return "", usageError(fmt.Errorf("%q may mean several jobs, so nothing is done; give more of the id:%s", arg, &text))
}

// idPart is a part of an id. Where one is true, head is the beginning or the end.
type idPart struct {
	head, tail string
	one        bool
}

func partOfID(arg string) (idPart, bool) {
	text := strings.ToLower(strings.TrimSpace(arg))
	head, tail, two := strings.Cut(strings.Replace(text, "...", "…", 1), "…")
	p := idPart{head, tail, !two}
	given := strings.ReplaceAll(head+tail, "-", "")
	return p, len(given) >= minIDPart && len(head+tail) <= 36 && strings.Trim(given, "0123456789abcdef") == ""
}

func (p idPart) matches(id string) bool {
	if p.one {
		return strings.HasPrefix(id, p.head) || strings.HasSuffix(id, p.head)
	}
	return strings.HasPrefix(id, p.head) && strings.HasSuffix(id, p.tail)
}

// candidates returns the jobs whose ids have this part, but stops after maxCandidates.
func candidates(ctx context.Context, c *apiclient.Client, part idPart) ([]jobs.Result, error) {
	text := part.head
	if len(part.tail) > len(text) {
		text = part.tail
	}
	query := url.Values{"text": {text}, "limit": {"1000"}}
	var found []jobs.Result
	for range maxIDPages {
		var page api.Page
		if err := c.Get(ctx, "/api/v1/jobs?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		for _, r := range page.Jobs {
			if part.matches(r.ID) {
				found = append(found, r)
			}
		}
		if page.Next == "" || len(found) > maxCandidates {
			return found, nil
		}
		query.Set("cursor", page.Next)
	}
	return nil, errors.New("too many jobs match: give the whole id")
}
