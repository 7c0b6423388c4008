package clientfaults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// history is all that was reported, and all that happened.
type history struct {
	records map[string]*record
	// puts are the put commands of each job on the wires, and lost those whose server
	// was killed after it had acknowledged them.
	puts map[string][]*put
	lost map[*put]bool
	// inFlight is how many jobs were in commands in flight at faults, ends how many
	// connections faults have ended. What a client writes at that moment nobody reads.
	inFlight, ends int
	// results are the jobs that have the result of their own input.
	results map[string]bool
}

// verdict is what the check of a history found.
type verdict struct {
	jobs, put, notPut, unknown int
	// tries are the calls for a job, maybe those that said that it may have been put.
	tries, maybe int
	// contexts are the maybe that come from the end of the caller's context alone.
	contexts int
	// arrived are the unknown jobs that have a result.
	arrived int
	// unseen are the maybe of jobs that no wire has seen.
	unseen int
	// excused are jobs without a result that a killed beanstalkd has lost.
	excused int
	faults  []string
}

func (v *verdict) fault(format string, args ...any) {
	v.faults = append(v.faults, fmt.Sprintf(format, args...))
}

// check compares what was reported with what happened.
func (h *history) check() *verdict {
	v := &verdict{jobs: len(h.records)}
	for id, r := range h.records {
		v.tries += len(r.tries)
		for i, t := range r.tries {
			if t.outcome == unknown {
				h.checkUnknown(v, id, t, h.putsOf(r, i))
			}
		}
		switch r.known() {
		case wasPut:
			v.put++
			h.checkPut(v, id)
		case notPut:
			v.notPut++
			if h.results[id] {
				v.fault("job %s was reported as not put and has a result: %v", id, r.tries[0].err)
			}
		case unknown:
			v.unknown++
			if h.results[id] {
				v.arrived++
			}
		}
	}
	for id := range h.results {
		if h.records[id] == nil {
			v.fault("job %s has a result and was never enqueued", id)
		}
	}
	if v.unseen > h.ends {
		v.fault("%d jobs may have been put and were on no wire, and %d connections ended", v.unseen, h.ends)
	}
	if v.maybe-v.contexts > h.inFlight+v.unseen {
		v.fault("%d times a job may have been put, with %d in flight at faults", v.maybe-v.contexts, h.inFlight)
	}
	return v
}

// putsOf returns the put commands of a try that a server has not refused: those that were
// read between its begin and that of the next one.
func (h *history) putsOf(r *record, i int) []*put {
	return slices.DeleteFunc(slices.Clone(h.puts[r.id]), func(p *put) bool {
		refused := !p.answered.IsZero() && !p.inserted && !p.disturbed
		return refused || p.read.Before(r.tries[i].began) || i+1 < len(r.tries) && !p.read.Before(r.tries[i+1].began)
	})
}

// checkUnknown checks that a job that may have been put was in flight at a fault, or when
// the caller's context ended.
func (h *history) checkUnknown(v *verdict, id string, t try, puts []*put) {
	v.maybe++
	switch {
	case len(puts) == 0:
		v.unseen++
	case slices.ContainsFunc(puts, func(p *put) bool { return p.disturbed }):
	case t.ended:
		v.contexts++
	default:
		v.fault("job %s may have been put, which no fault explains: %v", id, t.err)
	}
}

// checkPut checks a job that was reported as put.
func (h *history) checkPut(v *verdict, id string) {
	inserted, lost := 0, 0
	for _, p := range h.puts[id] {
		if p.inserted {
			inserted++
		}
		if h.lost[p] {
			lost++
		}
	}
	switch {
	case inserted == 0:
		v.fault("job %s was reported as put and no server has said so", id)
	case h.results[id]:
	case lost >= inserted:
		v.excused++
	default:
		v.fault("job %s was reported as put and has no result", id)
	}
}

func (v *verdict) String() string {
	return fmt.Sprintf("%d jobs in %d tries: %d put, %d not put, %d unknown, of which %d have their result; "+
		"%d tries were unknown, %d of them by the end of the context alone, %d of them on no wire; %d jobs lost by a killed beanstalkd",
		v.jobs, v.tries, v.put, v.notPut, v.unknown, v.arrived, v.maybe, v.contexts, v.unseen, v.excused)
}

// TestCheckerSees holds that the checker finds each kind of untruth.
func TestCheckerSees(t *testing.T) {
	const id = "a"
	tried := func(all ...try) map[string]*record { return map[string]*record{id: {id: id, tries: all}} }
	on := func(p ...*put) map[string][]*put { return map[string][]*put{id: p} }
	acknowledged := &put{inserted: true}
	there := map[string]bool{id: true}
	at := func(second int64) time.Time { return time.Unix(second, 0) }
	for name, test := range map[string]struct {
		history history
		want    string // "" for no fault
	}{
		"put":              {history{records: tried(try{outcome: wasPut}), puts: on(acknowledged), results: there}, ""},
		"put, no result":   {history{records: tried(try{outcome: wasPut}), puts: on(acknowledged)}, "put and has no result"},
		"put, lost":        {history{records: tried(try{outcome: wasPut}), puts: on(acknowledged), lost: map[*put]bool{acknowledged: true}}, ""},
		"put, lost once":   {history{records: tried(try{outcome: wasPut}), puts: on(acknowledged, &put{inserted: true}), lost: map[*put]bool{acknowledged: true}}, "put and has no result"},
		"put, not said":    {history{records: tried(try{outcome: wasPut}), puts: on(&put{}), results: there}, "no server has said so"},
		"not put":          {history{records: tried(try{outcome: notPut})}, ""},
		"not put, result":  {history{records: tried(try{outcome: notPut}, try{outcome: notPut}), results: there}, "not put and has a result"},
		"unknown at fault": {history{records: tried(try{outcome: unknown}), puts: on(&put{disturbed: true}), inFlight: 1, results: there}, ""},
		"unknown, ended":   {history{records: tried(try{outcome: unknown, ended: true}), puts: on(&put{})}, ""},
		"unknown, calm":    {history{records: tried(try{outcome: unknown}), puts: on(&put{}), results: there}, "no fault explains"},
		"unknown, later":   {history{records: tried(try{outcome: unknown, began: at(1)}), puts: on(&put{read: at(0), disturbed: true}), inFlight: 1}, "on no wire"},
		"unknown, before":  {history{records: tried(try{outcome: unknown, began: at(0)}, try{outcome: notPut, began: at(2)}), puts: on(&put{read: at(1)}, &put{read: at(2), disturbed: true}), inFlight: 1}, "no fault explains"},
		"unknown, refused": {history{records: tried(try{outcome: unknown}), puts: on(&put{read: at(1), answered: at(2)})}, "on no wire"},
		"unknown, put":     {history{records: tried(try{outcome: unknown}), puts: on(&put{read: at(1), answered: at(2), inserted: true}), ends: 1}, "no fault explains"},
		"too many unknown": {history{records: tried(try{outcome: unknown}), puts: on(&put{disturbed: true})}, "1 times"},
		"unseen, reset":    {history{records: tried(try{outcome: unknown}), ends: 1}, ""},
		"unseen":           {history{records: tried(try{outcome: unknown})}, "on no wire"},
		"from nowhere":     {history{results: there}, "never enqueued"},
	} {
		got := strings.Join(test.history.check().faults, "\n")
		if test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
