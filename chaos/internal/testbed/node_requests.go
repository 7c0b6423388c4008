package testbed

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// Submit posts a document and returns the status, or 0 if there was no answer.
func (bed *Testbed) Submit(ctx context.Context, n *Node, j *Job) int {
	asked := time.Now()
	status, _ := bed.send(ctx, n, "/api/v1/jobs", j.Document)
	bed.History.Note(check.Event{
		T: asked.UnixNano(), Took: int64(time.Since(asked)), What: check.Post, Who: n.Process.Name, Job: j.ID, Status: status,
	})
	return status
}

// send posts JSON to a path of a node and returns status and body of the
// answer.
func (bed *Testbed) send(ctx context.Context, n *Node, path string, body []byte) (int, []byte) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+n.Addr+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Content-Type", "application/json")
	return Do(req)
}

// observation is an answer of a result URL.
type observation struct {
	Body   []byte
	Status int
	State  string
	sum    string
}

// Final reports whether the job has ended. It may be deleted since.
func (s observation) Final() bool {
	return s.State == "succeeded" || s.State == "failed" || s.State == "cancelled" || s.Gone()
}

// Gone reports whether the job was deleted.
func (s observation) Gone() bool { return s.State == check.Gone }

// GetResult asks one node for a job's result and records the answer. With
// plain, it asks for an uncompressed body.
func (bed *Testbed) GetResult(ctx context.Context, n *Node, j *Job, plain bool) observation {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr+"/"+j.ID, nil)
	if err != nil {
		return observation{}
	}
	if plain {
		req.Header.Set("Accept-Encoding", "identity")
	}
	asked := time.Now()
	status, body := Do(req)
	s := observation{Status: status, Body: body}
	e := check.Event{T: asked.UnixNano(), Took: int64(time.Since(asked)), What: check.Get, Who: n.Process.Name, Job: j.ID, Status: status}
	if status == http.StatusOK || status == http.StatusAccepted {
		s.State, e.Text = j.check(body)
		sum := sha256.Sum256(body)
		s.sum = hex.EncodeToString(sum[:])
		e.State = s.State
	}
	if status == http.StatusOK {
		e.Sum = s.sum
	}
	if status == http.StatusGone {
		s.State = check.Gone
		e.State, e.Text = check.Gone, checkGone(body)
	}
	bed.History.Note(e)
	return s
}

// check reads a result document and returns what is wrong with it.
func (j *Job) check(body []byte) (state, wrong string) {
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
	case document.ID != j.ID:
		wrong = "the result of another job: " + document.ID
	case document.Timestamp.IsZero():
		wrong = "no timestamp"
	case document.State == "succeeded" && j.Answer != "" && document.Result.Answer != j.Answer:
		wrong = "not the result of this input: " + document.Result.Answer
	}
	return document.State, wrong
}

// date matches the date of an answer that says when a job was deleted.
var date = regexp.MustCompile(`\b20\d\d-[01]\d-[0-3]\d`)

// checkGone reads the answer for a job that was deleted, and returns what is wrong
// with it.
func checkGone(body []byte) (wrong string) {
	var problem struct{ Detail string }
	if err := json.Unmarshal(body, &problem); err != nil {
		return "not a problem document: " + err.Error()
	}
	if !date.MatchString(problem.Detail) {
		return "no date of the deletion: " + problem.Detail
	}
	return ""
}

// GetJSON reads a path of a node, and decodes the answer unless into is nil.
func (bed *Testbed) GetJSON(ctx context.Context, n *Node, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr+path, nil)
	if err != nil {
		return err
	}
	status, body := Do(req)
	if status != http.StatusOK && status != http.StatusAccepted {
		return fmt.Errorf("%s: status %d %.300s", path, status, body)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(body, into)
}

// AwaitClock waits until the node's answers show that its clock has been moved.
func (n *Node) AwaitClock(ctx context.Context, by time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return Until(ctx, 50*time.Millisecond, "the clock of "+n.Process.Name+" has moved", func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr+"/healthz", nil)
		if err != nil {
			return false
		}
		res, err := HTTPClient.Do(req)
		if err != nil {
			return false
		}
		defer res.Body.Close()
		date, err := http.ParseTime(res.Header.Get("Date"))
		return err == nil && (time.Until(date)-by).Abs() < time.Minute
	})
}
