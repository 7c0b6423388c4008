package check

import "fmt"

// slack is how long the nodes may take to delete a job whose time is over, in
// nanoseconds of the true time: they do that in small steps.
const slack = int64(180 * 1e9)

// deletions demands a reason for each deletion, and that each is for ever.
func deletions(f *facts) []Figure {
	if f.kept.deleted == 0 {
		return nil
	}
	of := fmt.Sprint(f.kept.deleted)
	return append(wantNone("jobs deleted before their time", f.kept.early.n, of, f.kept.early.example),
		wantNone("answers that went back from deleted", f.kept.back.n, of, f.kept.back.example)...)
}

// deletedInTime demands deletions, and that no job stays long after its time.
func deletedInTime(f *facts) []Figure {
	late, example := 0, ""
	for _, j := range f.order {
		l := &j.life
		if l.keep == 0 || l.ended == 0 || l.gone > 0 {
			continue
		}
		if f.kept.clock.earliest(j.last().T-slack) > l.endBefore+l.keep {
			late++
			example = j.id
		}
	}
	return append(wantAtLeast("jobs deleted", f.kept.deleted, max(f.target, 1), ""),
		wantNone("jobs still there 3 minutes after their time", late, "", example)...)
}

// noRefusals demands that no document is refused as wrong.
func noRefusals(f *facts) []Figure {
	return wantNone("documents refused", f.kept.refused.n, "", f.kept.refused.example)
}

// halfJobs demands that all parts of a job are there, or none.
func halfJobs(f *facts) []Figure {
	n, example := f.kept.half.n, f.kept.half.example
	for _, j := range f.order {
		l := &j.life
		if l.url > 0 && (l.gone == 0 || l.gone > l.url+follow) || l.cached > 0 && (l.gone == 0 || l.stale) {
			n++
			example = j.id + " (its URL is there, other parts are not)"
		}
	}
	figures := wantNone("jobs of which a part was deleted", n, fmt.Sprintf("%d looked at", f.kept.parts), example)
	figures[0].OK = figures[0].OK && f.kept.parts > 0
	return figures
}

// restored demands that each job that was final in a backup has the same result
// after the restore.
func restored(f *facts) []Figure {
	if f.kept.restores == 0 {
		return nil
	}
	n, example := f.kept.absent.n, f.kept.absent.example
	for _, j := range f.order {
		if j.life.promise > 0 {
			n++
			example = j.id + " (nobody looked)"
		}
	}
	of := fmt.Sprintf("%d in %d restores", f.kept.promises, f.kept.restores)
	return wantNone("final jobs of a backup that its restore did not bring back", n, of, example)
}

// meantEnds demands that each job ends as it is meant to.
func meantEnds(f *facts) []Figure {
	n, example := 0, ""
	for _, j := range f.order {
		wanted := j.life.meant
		if wanted == "" {
			wanted = "succeeded"
		}
		if state := j.life.state; state != "" && state != wanted {
			n++
			example = fmt.Sprintf("%s (%s, not %s)", j.id, state, wanted)
		}
	}
	return wantNone("jobs that ended otherwise than they are meant to", n, "", example)
}
