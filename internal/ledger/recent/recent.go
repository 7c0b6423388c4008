// Package recent keeps for a short time, in bounded memory, what a process has just written
// of jobs.
package recent

import "time"

// Bounds of Jobs.
const (
	MaxJobs  = 4096
	MaxBytes = 4 << 20
	// Age is how long a job that nobody takes stays while there is no room.
	Age = 10 * time.Second
)

// Jobs are values by the ids of jobs. One goroutine uses them. The zero value is empty.
type Jobs[V any] struct {
	jobs  map[string]job[V]
	bytes int
	swept time.Time // when old jobs were removed
}

type job[V any] struct {
	value V
	bytes int
	added time.Time
}

// Add keeps a value that takes so many bytes, if there is room. It replaces that of the same
// job.
func (j *Jobs[V]) Add(id string, value V, bytes int, now time.Time) {
	j.Take(id)
	if !j.room(bytes, now) {
		return
	}
	if j.jobs == nil {
		j.jobs = map[string]job[V]{}
	}
	j.jobs[id] = job[V]{value, bytes, now}
	j.bytes += bytes
}

// room reports whether there is room. If not, it removes old jobs, at most once each Age.
func (j *Jobs[V]) room(bytes int, now time.Time) bool {
	if j.fits(bytes) {
		return true
	}
	if since := now.Sub(j.swept); since >= 0 && since < Age {
		return false
	}
	j.swept = now
	for id, v := range j.jobs {
		if age := now.Sub(v.added); age < 0 || age >= Age {
			j.Take(id)
		}
	}
	return j.fits(bytes)
}

func (j *Jobs[V]) fits(bytes int) bool { return len(j.jobs) < MaxJobs && j.bytes+bytes <= MaxBytes }

// Take removes the value of a job and returns it.
func (j *Jobs[V]) Take(id string) (value V, ok bool) {
	v, ok := j.jobs[id]
	if ok {
		delete(j.jobs, id)
		j.bytes -= v.bytes
	}
	return v.value, ok
}
