package batch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxListed is how many frames without success a summary names.
	maxListed = 100
	// maxSample is how many run times the distribution is made of.
	maxSample = 4096
	// endedChunk is how many ends one read takes.
	endedChunk = 5000
	// rateSpan is the time over which the rate of ends is measured.
	rateSpan = 2 * time.Minute
)

// Summary is the result of a batch, and its partial result while it runs.
type Summary struct {
	Frames    int `json:"frames"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	Running   int `json:"running"`
	Queued    int `json:"queued"`
	// Waiting counts the frames that wait for others, and those that are not made yet.
	Waiting int `json:"waiting"`
	// Deleted counts the frames that have been deleted since they ended.
	Deleted int `json:"deleted,omitempty"`
	// Unsuccessful are the numbers of frames that failed or were cancelled, at most 100.
	Unsuccessful []int `json:"unsuccessful,omitempty"`
	// Seconds is how long frames ran that succeeded.
	Seconds *Seconds `json:"seconds,omitempty"`
	// Ends is when the last frame ends if they go on like this.
	Ends *time.Time `json:"ends,omitempty"`
	// Bundle is the result URL of the job that makes the bundle.
	Bundle string `json:"bundle,omitempty"`
	// Tar has the files of all frames.
	Tar string `json:"tar"`
}

// Seconds is a distribution of run times, in seconds.
type Seconds struct {
	Mean float64 `json:"mean"`
	P10  float64 `json:"p10"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	Max  float64 `json:"max"`
}

// open returns how many frames have not ended.
func (s *Summary) open() int { return s.Running + s.Queued + s.Waiting }

// times collects how long frames ran.
type times struct {
	n      int
	sum    time.Duration
	most   time.Duration
	sample []float64 // seconds, of frames chosen at random
	last   time.Time // the end of the last one that was read
	rates  []rate
}

// rate is how many frames had ended at a time.
type rate struct {
	at    time.Time
	ended int
}

func (t *times) add(d time.Duration) {
	t.n++
	t.sum += d
	t.most = max(t.most, d)
	if len(t.sample) < maxSample {
		t.sample = append(t.sample, d.Seconds())
	} else if i := rand.IntN(t.n); i < maxSample {
		t.sample[i] = d.Seconds()
	}
}

// read reads the frames that have succeeded since the last call.
func (t *times) read(ctx context.Context, b *batches.Batches, id string) error {
	for {
		last, n, err := b.Ended(ctx, id, t.last, endedChunk, t.add)
		t.last = last
		if err != nil || n < endedChunk {
			return err
		}
	}
}

// seconds returns the distribution, or nil if no frame has succeeded.
func (t *times) seconds() *Seconds {
	if t.n == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(t.sample))
	at := func(q float64) float64 { return sorted[int(q*float64(len(sorted)-1)+0.5)] }
	return &Seconds{Mean: t.sum.Seconds() / float64(t.n), P10: at(0.1), P50: at(0.5), P90: at(0.9), Max: t.most.Seconds()}
}

// ends estimates when open frames have ended, from the rate of the last minutes.
func (t *times) ends(now time.Time, ended, open int) *time.Time {
	t.rates = append(slices.DeleteFunc(t.rates, func(r rate) bool { return now.Sub(r.at) > rateSpan }), rate{now, ended})
	first := t.rates[0]
	if open == 0 || ended <= first.ended || !now.After(first.at) {
		return nil
	}
	perFrame := now.Sub(first.at).Seconds() / float64(ended-first.ended)
	at := now.Add(time.Duration(min(perFrame*float64(open), 1e9) * float64(time.Second))).UTC().Truncate(time.Second)
	return &at
}

// count counts the frames of a batch. expanded says that all of them have been made.
func count(states map[jobs.State]int, frames int, expanded bool) Summary {
	s := Summary{
		Frames: frames, Succeeded: states[jobs.Succeeded], Failed: states[jobs.Failed], Cancelled: states[jobs.Cancelled],
		Running: states[jobs.Running], Queued: states[jobs.Queued], Waiting: states[jobs.Waiting],
	}
	absent := max(0, frames-s.Succeeded-s.Failed-s.Cancelled-s.open())
	if expanded {
		s.Deleted = absent
	} else {
		s.Waiting += absent
	}
	return s
}

// message says in a sentence how the batch stands.
func (s *Summary) message() string {
	text := fmt.Sprintf("%d of %d frames have ended", s.Frames-s.open(), s.Frames)
	if n := s.Failed + s.Cancelled; n > 0 {
		text += fmt.Sprintf(", %d without success", n)
	}
	return text
}

// fault says which frames have not succeeded.
func (s *Summary) fault() string {
	const named = 10
	n := s.Failed + s.Cancelled
	list := make([]string, 0, named)
	for _, number := range s.Unsuccessful[:min(named, len(s.Unsuccessful))] {
		list = append(list, strconv.Itoa(number))
	}
	text := fmt.Sprintf("%d of %d frames have not succeeded: %s", n, s.Frames, strings.Join(list, ", "))
	if n > len(list) {
		text += " and others"
	}
	return text
}

// counters returns the numbers of a summary by name.
func (s *Summary) counters() map[string]float64 {
	return map[string]float64{
		"succeeded": float64(s.Succeeded), "failed": float64(s.Failed), "cancelled": float64(s.Cancelled),
		"running": float64(s.Running), "queued": float64(s.Queued), "waiting": float64(s.Waiting),
	}
}
