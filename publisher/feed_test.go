package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// fakeSource is a ledger whose contents a test sets.
type fakeSource struct {
	programs map[string]string // by job
	reads    int
	events   []api.Event
	nodes    []seenNode
	err      error
}

func (s *fakeSource) records(_ context.Context, ids []string) (list []ledger.Record, err error) {
	s.reads += len(ids)
	for _, id := range ids {
		if program, ok := s.programs[id]; ok {
			list = append(list, ledger.Record{ID: id, Program: program, State: jobs.Queued})
		}
	}
	return list, s.err
}

func (s *fakeSource) eventsAfter(_ context.Context, id string, limit int) (list []api.Event, err error) {
	for _, e := range s.events {
		if e.ID > id && len(list) < limit {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b api.Event) int { return strings.Compare(a.ID, b.ID) })
	return list, s.err
}

func (s *fakeSource) nodeNews(context.Context) ([]seenNode, error) { return s.nodes, s.err }

// heard is what a follower was sent.
type heard struct{ text []string }

func (h *heard) Send(m *live.Message) { h.text = append(h.text, string(m.Text())) }

// take returns what was sent since it was called last: "type what" of each event.
func (h *heard) take() (list []string) {
	for _, text := range h.text {
		for e := range strings.SplitSeq(text, "\n\n") {
			var kind, id string
			for line := range strings.Lines(e) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				switch name {
				case "event":
					kind = value
				case "id":
					id = value[max(0, len(value)-3):]
				case "data":
					list = append(list, strings.TrimSpace(kind+" "+id+brief(value)))
				}
			}
		}
	}
	h.text = nil
	slices.Sort(list)
	return list
}

// brief is which job or node a document is about.
func brief(data string) string {
	for _, mark := range []string{`{"id":"`, `{"name":"`} {
		if rest, ok := strings.CutPrefix(data, mark); ok && !strings.Contains(rest, "kind") {
			name, _, _ := strings.Cut(rest, `"`)
			return name
		}
	}
	return ""
}

func (h *heard) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := h.take(); !slices.Equal(got, want) {
		t.Errorf("heard %q, want %q", got, want)
	}
}

// feedRig is a feed whose cycles a test makes.
type feedRig struct {
	t      *testing.T
	source *fakeSource
	feed   *feed
	now    time.Time
}

func newFeedRig(t *testing.T) *feedRig {
	t.Helper()
	s := &fakeSource{programs: map[string]string{}}
	return &feedRig{t: t, source: s, feed: newFeed(s, slog.New(slog.DiscardHandler)), now: time.Unix(1_800_000_000, 0)}
}

func (r *feedRig) follow(w follower) (*follower, *heard) {
	h := &heard{}
	w.stream = h
	r.feed.join(&w)
	return &w, h
}

// cycle makes one after so much time.
func (r *feedRig) cycle(after time.Duration) time.Duration {
	r.now = r.now.Add(after)
	return r.feed.cycle(r.t.Context(), r.now)
}

// event is one that was made so long ago.
func (r *feedRig) event(ago time.Duration, last string, job string) api.Event {
	id := idAt(r.now.Add(-ago))
	return api.Event{ID: id[:len(id)-3] + last, Kind: "noted", Job: job}
}

func TestFeedSaysOnceASecondThatSomethingHasChanged(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	_, h := r.follow(follower{types: []string{newsChange}})
	if wait := r.cycle(0); wait != feedTick {
		t.Errorf("looks again after %s", wait)
	}
	h.expect(t)
	for range 3 {
		r.feed.note([]string{"a"})
	}
	r.cycle(time.Second)
	h.expect(t, "change")
	r.feed.note([]string{"a"})
	if wait := r.cycle(100 * time.Millisecond); wait != 900*time.Millisecond {
		t.Errorf("looks again after %s", wait)
	}
	h.expect(t)
	r.cycle(900 * time.Millisecond)
	h.expect(t, "change")
	r.cycle(time.Second)
	h.expect(t)
	r.feed.outside()
	r.cycle(time.Second)
	h.expect(t, "change")
	if r.source.reads != 0 {
		t.Error("jobs were read that nobody follows")
	}
}

func TestFeedReadsJobsThatSomebodyFollows(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	r.feed.note([]string{"a"})
	one, h1 := r.follow(follower{types: []string{newsJob}, job: "a"})
	r.source.programs = map[string]string{"a": "x", "b": "y", "c": "y"}
	r.feed.note([]string{"a", "b", "a"})
	r.cycle(0)
	h1.expect(t, "job a")
	if r.source.reads != 1 {
		t.Errorf("%d jobs were read, one is followed", r.source.reads)
	}
	_, all := r.follow(follower{types: []string{newsJob}})
	_, ofProgram := r.follow(follower{types: []string{newsJob}, program: "y"})
	_, none := r.follow(follower{types: []string{newsEvent, newsNode}})
	r.feed.note([]string{"a", "b", "c", "unknown"})
	r.cycle(0)
	h1.expect(t, "job a")
	all.expect(t, "job a", "job b", "job c")
	ofProgram.expect(t, "job b", "job c")
	none.expect(t)
	r.feed.leave(one)
	r.feed.leave(one)
	if len(r.feed.named) != 0 || r.feed.wants[newsJob] != 2 {
		t.Errorf("%v %v are counted", r.feed.named, r.feed.wants)
	}
}

// TestFeedForgetsWhoLeftBeforeJoining: the stream ended while it began.
func TestFeedForgetsWhoLeftBeforeJoining(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	w := &follower{types: []string{newsJob}, stream: &heard{}}
	r.feed.leave(w)
	r.feed.join(w)
	r.cycle(0)
	if r.feed.followed() || len(r.feed.followers) != 0 || r.feed.wants[newsJob] != 0 {
		t.Errorf("%d members, %v, %v", r.feed.members, r.feed.followers, r.feed.wants)
	}
}

func TestFeedBoundsWhatWaitsToBeRead(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	_, h := r.follow(follower{types: []string{newsJob}})
	ids := make([]string, maxPending+1)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	r.feed.note(ids)
	r.cycle(0)
	h.expect(t, "reset")
	if r.source.reads != maxPending {
		t.Errorf("%d jobs were read", r.source.reads)
	}
	r.feed.note(ids[:1])
	r.cycle(0)
	h.expect(t)
}

func TestFeedTellsEachEventOnce(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	r.source.programs = map[string]string{"a": "x", "b": "y"}
	r.source.events = []api.Event{r.event(time.Hour, "001", ""), r.event(time.Second, "002", "a")}
	_, h := r.follow(follower{types: []string{newsEvent}})
	_, some := r.follow(follower{types: []string{newsEvent}, program: "y"})
	r.cycle(0)
	h.expect(t)
	r.source.events = append(r.source.events, r.event(0, "003", "b"), r.event(2*time.Second, "004", "a"))
	r.cycle(time.Second)
	h.expect(t, "event 003", "event 004")
	some.expect(t, "event 003")
	r.cycle(eventOverlap)
	r.cycle(eventOverlap)
	h.expect(t)
	if n := len(r.feed.window.seen); n != 0 {
		t.Errorf("%d ids are remembered for ever", n)
	}
	r.source.err = errors.New("locked")
	r.cycle(time.Second)
	r.source.err = nil
	r.source.events = append(r.source.events, r.event(0, "005", ""))
	r.cycle(time.Second)
	h.expect(t, "event 005")
}

func TestFeedTellsVeryManyEvents(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	_, h := r.follow(follower{types: []string{newsEvent}})
	r.cycle(0)
	total := eventBatch*eventBatches + 10
	for i := range total {
		id := idAt(r.now)
		r.source.events = append(r.source.events, api.Event{ID: id[:24] + fmt.Sprintf("%012d", i+1), Kind: "noted"})
	}
	r.cycle(0)
	r.cycle(0)
	if n := len(h.take()); n != total {
		t.Errorf("%d events of %d", n, total)
	}
}

func TestFeedReplays(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	old := r.event(time.Hour, "001", "")
	r.source.events = []api.Event{old, r.event(time.Minute, "002", "a"), r.event(time.Second, "003", "b")}
	_, first := r.follow(follower{types: []string{newsEvent}})
	_, back := r.follow(follower{types: []string{newsEvent}, resume: true, after: old.ID})
	_, ofJob := r.follow(follower{types: []string{newsEvent}, resume: true, after: old.ID, job: "b"})
	_, lost := r.follow(follower{types: []string{newsEvent}, resume: true, after: "of another life"})
	r.cycle(0)
	first.expect(t)
	back.expect(t, "event 002", "event 003")
	ofJob.expect(t, "event 003")
	lost.expect(t, "reset 003")
	for i := range maxReplay {
		r.source.events = append(r.source.events, r.event(time.Minute, fmt.Sprintf("%03x", i+16), ""))
	}
	_, late := r.follow(follower{types: []string{newsEvent}, resume: true, after: old.ID})
	r.cycle(0)
	late.expect(t, "reset 003")
}

// TestFeedTellsWhoJoinsNothingTwice has an event come between a follower's
// arrival and the cycle that admits it.
func TestFeedTellsWhoJoinsNothingTwice(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	r.follow(follower{types: []string{newsEvent}})
	r.cycle(0)
	had := r.event(time.Second, "001", "")
	_, h := r.follow(follower{types: []string{newsEvent}, resume: true, after: had.ID})
	r.source.events = append(r.source.events, r.event(0, "002", ""))
	r.cycle(0)
	r.cycle(0)
	h.expect(t, "event 002")
}

func TestFeedForgetsWhoLeavesBeforeItIsAdmitted(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	w, h := r.follow(follower{types: []string{newsChange}})
	r.feed.leave(w)
	r.feed.note([]string{"a"})
	r.cycle(0)
	h.expect(t)
	if len(r.feed.followers) != 0 || r.feed.members != 0 {
		t.Error("it is still there")
	}
}

func TestFeedTellsOfNodes(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	node := seenNode{news: api.NodeNews{Name: "one", Alive: true, Slots: 2}}
	r.source.nodes = []seenNode{node}
	_, h := r.follow(follower{types: []string{newsNode}})
	_, c := r.follow(follower{types: []string{newsChange}})
	r.cycle(0)
	h.expect(t)
	node.beat = node.beat.Add(time.Second)
	r.source.nodes = []seenNode{node}
	r.cycle(time.Second)
	c.expect(t)
	r.cycle(time.Second)
	h.expect(t)
	c.expect(t, "change")
	node.news.Slots = 3
	r.source.nodes = []seenNode{node, {news: api.NodeNews{Name: "two"}}}
	r.cycle(nodesEvery)
	h.expect(t, "node one", "node two")
	c.expect(t, "change")
}

// A panic in one cycle has everybody read anew in the next.
func TestFeedOutlivesAPanic(t *testing.T) {
	t.Parallel()
	r := newFeedRig(t)
	_, h := r.follow(follower{types: []string{newsJob}})
	r.cycle(0)
	h.take()
	r.feed.source = nil
	r.feed.note([]string{"a"})
	if wait := r.feed.cycleSafely(t.Context(), r.now); wait != feedTick {
		t.Errorf("looks again after %s", wait)
	}
	r.feed.source = r.source
	r.cycle(time.Second)
	h.expect(t, "reset")
}
