package jobdoc

import (
	"maps"
	"slices"

	"github.com/runnerbean/runnerbean/internal/inputurl"
	"github.com/runnerbean/runnerbean/jobs"
)

// StoredFiles returns the digests of the files in the store that a valid job uses, or that the
// jobs of a batch may use, some of them twice.
func StoredFiles(job *jobs.Job) (digests []string, err error) {
	if job.Program != jobs.BatchProgram {
		return named(nil, job), nil
	}
	batch, _, err := Batch(job, nil)
	if err != nil {
		return nil, err
	}
	digests = slices.AppendSeq(named(nil, &batch.Job), maps.Values(batch.Package))
	if batch.Bundle != nil {
		digests = named(digests, batch.Bundle)
	}
	return digests, nil
}

// named appends the digests of the files in the store that a job names.
func named(digests []string, job *jobs.Job) []string {
	if digest, ok := inputurl.Stored(job.Input.URL); ok {
		digests = append(digests, digest)
	}
	for i := range job.Files {
		if digest, ok := inputurl.Stored(job.Files[i].URL); ok {
			digests = append(digests, digest)
		}
	}
	return digests
}
