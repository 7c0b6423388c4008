package live

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
	"github.com/runnerbean/runnerbean/jobs"
)

// fakeSource is a ledger whose contents a test sets.
type fakeSource struct {
	programs map[string]string // by job
	reads    int
	events   []api.Event
	nodes    []Node
	err      error
}

func (s *fakeSource) Jobs(_ context.Context, ids []string) (list []api.JobNews, err error) {
	s.reads += len(ids)
	for _, id := range ids {
		if program, ok := s.programs[id]; ok {
			list = append(list, api.JobNews{ID: id, Program: program, State: jobs.Queued})
		}
	}
	return list, s.err
}

func (s *fakeSource) EventsAfter(_ context.Context, id string, limit int) (list []api.Event, err error) {
	for _, e := range s.events {
		if e.ID > id && len(list) < limit {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b api.Event) int { return strings.Compare(a.ID, b.ID) })
	return list, s.err
}

func (s *fakeSource) Nodes(context.Context) ([]Node, error) { return s.nodes, s.err }

// heard is what a follower was sent.
type heard struct{ text []string }

func (h *heard) Send(m *Message) { h.text = append(h.text, string(m.Text())) }

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

// newsTest is a news whose cycles a test makes.
type newsTest struct {
	t      *testing.T
	source *fakeSource
	news   *news
	now    time.Time
}

func newNewsTest(t *testing.T) *newsTest {
	t.Helper()
	s := &fakeSource{programs: map[string]string{}}
	return &newsTest{t: t, source: s, news: newNews(s, slog.New(slog.DiscardHandler), func() {}), now: time.Unix(1_800_000_000, 0)}
}

func (r *newsTest) follow(f Follower) (*Follower, *heard) {
	h := &heard{}
	f.stream = h
	r.news.join(&f)
	return &f, h
}

// cycle makes one after so much time.
func (r *newsTest) cycle(after time.Duration) time.Duration {
	r.now = r.now.Add(after)
	return r.news.cycle(r.t.Context(), r.now)
}

// event is one that was made so long ago.
func (r *newsTest) event(ago time.Duration, last string, job string) api.Event {
	id := idAt(r.now.Add(-ago))
	return api.Event{ID: id[:len(id)-3] + last, Kind: "noted", Job: job}
}

func TestChangeOnceASecond(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	_, h := r.follow(Follower{Types: []string{TypeChange}})
	if wait := r.cycle(0); wait != newsEvery {
		t.Errorf("looks again after %s", wait)
	}
	h.expect(t)
	for range 3 {
		r.news.changed([]string{"a"})
	}
	r.cycle(time.Second)
	h.expect(t, "change")
	r.news.changed([]string{"a"})
	if wait := r.cycle(100 * time.Millisecond); wait != 900*time.Millisecond {
		t.Errorf("looks again after %s", wait)
	}
	h.expect(t)
	r.cycle(900 * time.Millisecond)
	h.expect(t, "change")
	r.cycle(time.Second)
	h.expect(t)
	r.news.changedOutside()
	r.cycle(time.Second)
	h.expect(t, "change")
	if r.source.reads != 0 {
		t.Error("jobs were read that nobody follows")
	}
}

func TestOnlyFollowedJobsAreRead(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	r.news.changed([]string{"a"})
	one, h1 := r.follow(Follower{Types: []string{TypeJob}, Job: "a"})
	r.source.programs = map[string]string{"a": "x", "b": "y", "c": "y"}
	r.news.changed([]string{"a", "b", "a"})
	r.cycle(0)
	h1.expect(t, "job a")
	if r.source.reads != 1 {
		t.Errorf("%d jobs were read, one is followed", r.source.reads)
	}
	_, all := r.follow(Follower{Types: []string{TypeJob}})
	_, ofProgram := r.follow(Follower{Types: []string{TypeJob}, Program: "y"})
	_, none := r.follow(Follower{Types: []string{TypeEvent, TypeNode}})
	r.news.changed([]string{"a", "b", "c", "unknown"})
	r.cycle(0)
	h1.expect(t, "job a")
	all.expect(t, "job a", "job b", "job c")
	ofProgram.expect(t, "job b", "job c")
	none.expect(t)
	r.news.leave(one)
	r.news.leave(one)
	if len(r.news.named) != 0 || r.news.wants[TypeJob] != 2 {
		t.Errorf("%v %v are counted", r.news.named, r.news.wants)
	}
}

// TestLeaveBeforeJoin: the stream ended while it began.
func TestLeaveBeforeJoin(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	w := &Follower{Types: []string{TypeJob}, stream: &heard{}}
	r.news.leave(w)
	r.news.join(w)
	r.cycle(0)
	if r.news.followed() || len(r.news.followers) != 0 || r.news.wants[TypeJob] != 0 {
		t.Errorf("%d members, %v, %v", r.news.members, r.news.followers, r.news.wants)
	}
}

func TestTooManyChangedJobs(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	_, h := r.follow(Follower{Types: []string{TypeJob}})
	ids := make([]string, maxPending+1)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	r.news.changed(ids)
	r.cycle(0)
	h.expect(t, "reset")
	if r.source.reads != maxPending {
		t.Errorf("%d jobs were read", r.source.reads)
	}
	r.news.changed(ids[:1])
	r.cycle(0)
	h.expect(t)
}

func TestEachEventOnce(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	r.source.programs = map[string]string{"a": "x", "b": "y"}
	r.source.events = []api.Event{r.event(time.Hour, "001", ""), r.event(time.Second, "002", "a")}
	_, h := r.follow(Follower{Types: []string{TypeEvent}})
	_, some := r.follow(Follower{Types: []string{TypeEvent}, Program: "y"})
	r.cycle(0)
	h.expect(t)
	r.source.events = append(r.source.events, r.event(0, "003", "b"), r.event(2*time.Second, "004", "a"))
	r.cycle(time.Second)
	h.expect(t, "event 003", "event 004")
	some.expect(t, "event 003")
	r.cycle(eventOverlap)
	r.cycle(eventOverlap)
	h.expect(t)
	if n := len(r.news.reader.window.seen); n != 0 {
		t.Errorf("%d ids are remembered for ever", n)
	}
	r.source.err = errors.New("locked")
	r.cycle(time.Second)
	r.source.err = nil
	r.source.events = append(r.source.events, r.event(0, "005", ""))
	r.cycle(time.Second)
	h.expect(t, "event 005")
}

func TestVeryManyEvents(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	_, h := r.follow(Follower{Types: []string{TypeEvent}})
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

func TestResume(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	old := r.event(time.Hour, "001", "")
	r.source.events = []api.Event{old, r.event(time.Minute, "002", "a"), r.event(time.Second, "003", "b")}
	_, first := r.follow(Follower{Types: []string{TypeEvent}})
	_, back := r.follow(Follower{Types: []string{TypeEvent}, Resume: true, After: old.ID})
	_, ofJob := r.follow(Follower{Types: []string{TypeEvent}, Resume: true, After: old.ID, Job: "b"})
	_, lost := r.follow(Follower{Types: []string{TypeEvent}, Resume: true, After: "of another life"})
	r.cycle(0)
	first.expect(t)
	back.expect(t, "event 002", "event 003")
	ofJob.expect(t, "event 003")
	lost.expect(t, "reset 003")
	for i := range maxReplay {
		r.source.events = append(r.source.events, r.event(time.Minute, fmt.Sprintf("%03x", i+16), ""))
	}
	_, late := r.follow(Follower{Types: []string{TypeEvent}, Resume: true, After: old.ID})
	r.cycle(0)
	late.expect(t, "reset 003")
}

// TestResumeDuringAnEvent has an event come between a follower's
// arrival and the cycle that admits it.
func TestResumeDuringAnEvent(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	r.follow(Follower{Types: []string{TypeEvent}})
	r.cycle(0)
	had := r.event(time.Second, "001", "")
	_, h := r.follow(Follower{Types: []string{TypeEvent}, Resume: true, After: had.ID})
	r.source.events = append(r.source.events, r.event(0, "002", ""))
	r.cycle(0)
	r.cycle(0)
	h.expect(t, "event 002")
}

func TestLeaveBeforeTheFirstCycle(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	w, h := r.follow(Follower{Types: []string{TypeChange}})
	r.news.leave(w)
	r.news.changed([]string{"a"})
	r.cycle(0)
	h.expect(t)
	if len(r.news.followers) != 0 || r.news.members != 0 {
		t.Error("it is still there")
	}
}

func TestNodeNews(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	node := Node{News: api.NodeNews{Name: "one", Alive: true, Slots: 2}}
	r.source.nodes = []Node{node}
	_, h := r.follow(Follower{Types: []string{TypeNode}})
	_, c := r.follow(Follower{Types: []string{TypeChange}})
	r.cycle(0)
	h.expect(t)
	node.Heartbeat = node.Heartbeat.Add(time.Second)
	r.source.nodes = []Node{node}
	r.cycle(time.Second)
	c.expect(t)
	r.cycle(time.Second)
	h.expect(t)
	c.expect(t, "change")
	node.News.Slots = 3
	r.source.nodes = []Node{node, {News: api.NodeNews{Name: "two"}}}
	r.cycle(nodesEvery)
	h.expect(t, "node one", "node two")
	c.expect(t, "change")
}

// A panic in one cycle has everybody read anew in the next.
func TestPanicInACycle(t *testing.T) {
	t.Parallel()
	r := newNewsTest(t)
	_, h := r.follow(Follower{Types: []string{TypeJob}})
	r.cycle(0)
	h.take()
	r.news.reader.source = nil
	r.news.changed([]string{"a"})
	if wait := r.news.cycleSafely(t.Context(), r.now); wait != newsEvery {
		t.Errorf("looks again after %s", wait)
	}
	r.news.reader.source = r.source
	r.cycle(time.Second)
	h.expect(t, "reset")
}
