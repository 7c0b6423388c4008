package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// web is the client of all that the rig asks of nodes.
var web = &http.Client{
	Timeout:   15 * time.Second,
	Transport: &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 5 * time.Second},
}

const maxBody = 8 << 20

// post sends a document by the durable door and returns the status, 0 where
// none came.
func (r *rig) post(ctx context.Context, n *node, j *job) int {
	status, _ := r.send(ctx, n, "/api/v1/jobs", j.document)
	r.note(check.Event{What: check.Post, Who: n.name, Job: j.id, Status: status})
	return status
}

// send posts JSON to a path of a node and returns status and body of the answer.
func (r *rig) send(ctx context.Context, n *node, path string, body []byte) (int, []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.addr+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Content-Type", "application/json")
	return answer(req)
}

func answer(req *http.Request) (int, []byte) {
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := web.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, body
}

// seen is what a result URL showed.
type seen struct {
	status int
	state  string
	sum    string
}

func (s seen) final() bool {
	return s.state == "succeeded" || s.state == "failed" || s.state == "cancelled"
}

// get asks one node for a job's result and records what it says. Plain asks for
// a body that is not compressed.
func (r *rig) get(ctx context.Context, n *node, j *job, plain bool) seen {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.addr+"/"+j.id, nil)
	if err != nil {
		return seen{}
	}
	if plain {
		req.Header.Set("Accept-Encoding", "identity")
	}
	asked := time.Now()
	status, body := answer(req)
	s := seen{status: status}
	e := check.Event{T: asked.UnixNano(), Took: int64(time.Since(asked)), What: check.Get, Who: n.name, Job: j.id, Status: status}
	if status == http.StatusOK || status == http.StatusAccepted {
		s.state, e.Text = j.examine(body)
		sum := sha256.Sum256(body)
		s.sum = hex.EncodeToString(sum[:])
		e.State = s.state
	}
	if status == http.StatusOK {
		e.Sum = s.sum
	}
	r.note(e)
	return s
}

// examine reads a result document and says what is wrong with it.
func (j *job) examine(body []byte) (state, wrong string) {
	var document struct {
		ID        string    `json:"id"`
		State     string    `json:"state"`
		Timestamp time.Time `json:"timestamp"`
		Result    struct {
			Answer string `json:"answer"`
		} `json:"result"`
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return "", "not a result document: " + err.Error()
	}
	switch {
	case document.ID != j.id:
		wrong = "the result of another job: " + document.ID
	case document.Timestamp.IsZero():
		wrong = "no timestamp"
	case document.State == "succeeded" && j.answer != "" && document.Result.Answer != j.answer:
		wrong = "not the result of this input: " + document.Result.Answer
	}
	return document.State, wrong
}
