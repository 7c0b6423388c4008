package jobdoc

import "github.com/runnerbean/runnerbean/jobs"

// Decode reads a job document strictly: one JSON object of at most [jobs.MaxDocument]
// bytes, nested at most 64 deep, without duplicate names, bad UTF-8 or anything
// after it. It must meet the [Schema] and the rules that a schema cannot express.
// Input.Data keeps its bytes. Needs has ids only. The error is always a [*jobs.Fault].
func Decode(data []byte) (jobs.Job, error) {
	job, f := decode(data)
	if f != nil {
		return jobs.Job{}, f
	}
	return job, nil
}

// Read reads a document that the ledger has recorded. It does not validate, and
// leaves out what does not meet the schema. The error is for a text that is not
// JSON.
func Read(document []byte) (jobs.Job, error) {
	schema := jobSchema()
	t, err := readDocument(schema.root, document)
	if err != nil {
		return jobs.Job{}, schema.unreadable(document, err)
	}
	job, _ := convert(t)
	return withNeedIDs(job), nil
}

// decode reads a document, and the frames of a batch.
func decode(data []byte) (jobs.Job, *jobs.Fault) {
	job, f := decodeJob(data)
	if f != nil || job.Program != jobs.BatchProgram {
		return job, f
	}
	if f := batchFault(&job); f != nil {
		f.ID, f.Program, f.ResultURL = job.ID, job.Program, job.Result.URL
		return jobs.Job{}, f
	}
	return job, nil
}
