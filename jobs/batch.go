package jobs

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// BatchProgram is the program of the job that is a batch. Nodes run it themselves.
const BatchProgram = "batch"

// Labels of the jobs of a batch.
const (
	batchLabel = "batch"
	frameLabel = "frame"
)

// bundleFrame stands in the label of the bundle, where frames have their number.
const bundleFrame = "bundle"

// Batch describes many jobs of one program that differ in few values: its frames, such as the
// pictures of a film or the points of a parameter sweep.
//
//	batch := jobs.Batch{Frames: jobs.Range(1, 48, 1), Job: jobs.Job{
//		Program: "render",
//		Input:   jobs.Input{Data: []byte(`{"scene":"forest","frame":"${frame}"}`)},
//	}}
//	job, err := batch.Document()
//	…
//	url, err := client.Enqueue(ctx, job)
//
// The batch is itself a job, which runs until all its frames have ended. Its result says how
// they have. A frame n is the job [FrameID], and its result is at url + "/frames/n".
type Batch struct {
	// ID is a lower-case UUID of version 7 or 4. Document and Jobs fill it in if it is empty.
	// The ids of the frames are made from it, so that the same batch makes the same jobs
	// again.
	ID string
	// Job is what all frames have in common. Its ID, Result, RerunOf and the labels "batch"
	// and "frame" must be empty. Labels, Priority, Created, Traceparent and Keep are also those
	// of the batch itself; Webhook and Repeat are only those of the batch. Texts in Input.Data, Input.URL
	// and the URLs of Files may have values of the frame in them:
	//
	//	${frame}     its number
	//	${frame:4}   its number with at least 4 digits, such as 0017
	//	${name}      one of its values
	//	$${          the characters ${
	//
	// A text of Input.Data that is nothing but a value becomes that value, such as a number.
	// Without Input the frame gets an object of its values, with its number as "frame".
	Job Job
	// Frames or Matrix is required. Matrix makes a frame for each combination of values,
	// numbered from 0; the last parameter changes fastest.
	Frames []Frame
	Matrix []Parameter
	// MaxRunning is how many frames may be queued or run at once; 0 sets no limit.
	MaxRunning int
	// Bundle is a job that runs once all frames have ended, with what they left in
	// inputs/needs, by their numbers: at most [MaxBundled] frames. It needs Program; Input is
	// {} if it is empty. Its NeedsFailed says whether it runs if a frame has not succeeded.
	Bundle *Job
	// Package are files in the store of the nodes, by names such as "scenes/forest.pov", with
	// their SHA-256 digests: at most [MaxPackage]. In Job and Bundle the URL of the input or of a
	// file may be "package:" and such a name.
	Package Package
}

// MaxBundled is the largest number of frames of a batch with a Bundle.
const MaxBundled = maxNeeds

// Jobs returns the jobs of the frames, in their order, for a web server that puts each of them
// itself. Each has the labels "batch", with the id of the batch, and "frame". The error is a
// [*Fault] whose message names the frame.
func (b *Batch) Jobs() ([]Job, error) {
	e, err := b.Expander()
	if err != nil {
		return nil, err
	}
	list := make([]Job, e.Len())
	for i := range list {
		if list[i], err = e.Job(i); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Expander makes the jobs of a batch one by one. It keeps nothing of them.
type Expander struct {
	batch    *Batch
	template *template
	frames   int
}

// Expander checks the batch, except what only one of its frames may have wrong. The batch must
// not change afterwards. The error is a [*Fault].
func (b *Batch) Expander() (*Expander, error) {
	if b.ID == "" {
		b.ID = NewID()
	}
	n, f := b.check()
	if f != nil {
		return nil, f
	}
	t, f := newTemplate(&b.Job, b.Package)
	if f == nil {
		f = t.checkWork(n)
	}
	if f != nil {
		return nil, f
	}
	return &Expander{b, t, n}, nil
}

// Len returns the number of frames.
func (e *Expander) Len() int { return e.frames }

// Frame returns the frame at index i.
func (e *Expander) Frame(i int) Frame {
	if len(e.batch.Matrix) > 0 {
		return combination(e.batch.Matrix, i)
	}
	return e.batch.Frames[i]
}

// Job returns the job of the frame at index i, without a result URL. The error is a [*Fault]
// whose message names the frame.
func (e *Expander) Job(i int) (job Job, err error) {
	frame := e.Frame(i)
	if f := e.template.fill(&frame, &job); f != nil {
		f.Message = fmt.Sprintf("frame %d: %s", frame.Number, f.Message)
		return Job{}, f
	}
	job.Webhook, job.Repeat = "", 0
	e.batch.identify(&frame, &job)
	return job, nil
}

// Check checks that the template has a value for each name in it, and that the package has the
// files that it names, in all frames. The error is a [*Fault] whose message names the frame.
func (e *Expander) Check() error {
	if e.batch.Bundle != nil {
		if _, f := e.batch.Package.inPackage(e.batch.Bundle); f != nil {
			return f
		}
	}
	for i := range e.frames {
		frame := e.Frame(i)
		f := e.template.checkNames(&frame)
		if f == nil {
			f = e.template.checkPackage(&frame)
		}
		if f != nil {
			f.Message = fmt.Sprintf("frame %d: %s", frame.Number, f.Message)
			return f
		}
	}
	return nil
}

// Bundle returns the job that makes the bundle, or nil, without a result URL.
func (e *Expander) Bundle() *Job {
	b := e.batch
	if b.Bundle == nil {
		return nil
	}
	job, _ := b.Package.inPackage(b.Bundle) // Check has found what it names
	if job.Input.URL == "" && job.Input.Data == nil {
		job.Input.Data = []byte("{}")
	}
	job.ID, job.Labels, job.Repeat = BundleID(b.ID), b.labels(bundleFrame), 0
	job.Priority, job.Keep, job.Created, job.Traceparent = b.Job.Priority, b.Job.Keep, b.Job.Created, b.Job.Traceparent
	job.Needs, job.NeedsTimeout = make([]string, e.frames), Forever
	for i := range job.Needs {
		job.Needs[i] = FrameID(b.ID, e.Frame(i).Number)
	}
	return &job
}

// ofBatch are the members of Job that are those of the batch in its document, or that a frame
// gets.
var ofBatch = []string{"id", "result", "created", "labels", "priority", "traceparent", "webhook", "repeat"}

// batchInput is the input of the job that is a batch. docs/wire-format.md describes it.
type batchInput struct {
	Job        json.RawMessage `json:"job"`
	Frames     []any           `json:"frames,omitempty"`
	Matrix     jsontext.Value  `json:"matrix,omitempty"`
	MaxRunning int             `json:"max_running,omitzero"`
	Bundle     json.RawMessage `json:"bundle,omitempty"`
	Package    Package         `json:"package,omitempty"`
}

// frameInput is a frame that has more than its number.
type frameInput struct {
	Number int                        `json:"number"`
	Values map[string]json.RawMessage `json:"values,omitempty"`
	Needs  []int                      `json:"needs,omitempty"`
}

// Document returns the job that is the batch, without a result URL, for [Client.Enqueue]. The
// error is a [*Fault] whose message names the frame.
func (b *Batch) Document() (Job, error) {
	e, err := b.Expander()
	if err == nil {
		err = e.Check()
	}
	if err != nil {
		return Job{}, err
	}
	in := batchInput{Frames: frameInputs(b.Frames), Matrix: matrixInput(b.Matrix), MaxRunning: b.MaxRunning, Package: b.Package}
	var f *Fault
	if in.Job, f = partOfBatch(b.Job); f == nil && b.Bundle != nil {
		in.Bundle, f = partOfBatch(*b.Bundle)
	}
	if f != nil {
		return Job{}, f
	}
	data, err := jsonv2.Marshal(&in, jsonv2.Deterministic(true))
	if err != nil {
		return Job{}, newFault("/input/data", "cannot be written: %s", err)
	}
	return Job{
		ID: b.ID, Program: BatchProgram, Input: Input{Data: data}, Labels: b.Job.Labels, Priority: b.Job.Priority,
		Created: b.Job.Created, Traceparent: b.Job.Traceparent, Webhook: b.Job.Webhook, Keep: b.Job.Keep, Repeat: b.Job.Repeat,
	}, nil
}

// partOfBatch writes a job without the members of the batch.
func partOfBatch(job Job) (json.RawMessage, *Fault) {
	text, f := appendJob(nil, &job)
	if f != nil {
		return nil, f
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, newFault("/job", "cannot be written: %s", err)
	}
	for _, name := range ofBatch {
		delete(members, name)
	}
	if job.Input.URL == "" && job.Input.Data == nil {
		delete(members, "input")
	}
	text, err := jsonv2.Marshal(members, jsonv2.Deterministic(true))
	if err != nil {
		return nil, newFault("/job", "cannot be written: %s", err)
	}
	return text, nil
}

// frameInputs writes frames that are nothing but numbers as ranges.
func frameInputs(frames []Frame) (list []any) {
	plain := func(i int) bool { return i < len(frames) && len(frames[i].Values)+len(frames[i].Needs) == 0 }
	for i := 0; i < len(frames); i++ {
		if !plain(i) {
			list = append(list, frameInput(frames[i]))
			continue
		}
		first, end := i, i
		for plain(end+1) && frames[end+1].Number > frames[end].Number && frames[end+1].Number-frames[end].Number == frames[first+1].Number-frames[first].Number {
			end++
		}
		if end-first < 2 {
			list = append(list, frames[i].Number)
			continue
		}
		i = end
		list = append(list, fmt.Sprintf("%d-%d:%d", frames[first].Number, frames[end].Number, frames[first+1].Number-frames[first].Number))
	}
	return list
}

// matrixInput writes parameters as an object, in their order.
func matrixInput(list []Parameter) jsontext.Value {
	if len(list) == 0 {
		return nil
	}
	out := []byte{'{'}
	for i := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), list[i].Name...), `":[`...)
		for k, v := range list[i].Values {
			if k > 0 {
				out = append(out, ',')
			}
			out = append(out, v...)
		}
		out = append(out, ']')
	}
	return append(out, '}')
}

// check checks all but the template, and returns the number of frames.
func (b *Batch) check() (frames int, f *Fault) {
	switch {
	case !ValidID(b.ID):
		return 0, newFault("/id", "must be "+wantID+", not %.100q", b.ID)
	case b.Job.ID != "" || b.Job.Result.URL != "" || b.Job.RerunOf != "":
		return 0, newFault("/id", "must be empty in the job of a batch, since each frame has its own, and so must be the result URL and rerun_of")
	case len(b.Frames) > 0 && len(b.Matrix) > 0:
		return 0, newFault("/frames", "must not stand beside matrix")
	case len(b.Frames) > MaxFrames:
		return 0, newFault("/frames", "must have at most %d frames, not %d", MaxFrames, len(b.Frames))
	case b.Job.Program == BatchProgram || b.Bundle != nil && b.Bundle.Program == BatchProgram:
		return 0, newFault("/job/program", "must not be a batch again")
	case len(b.Job.Labels) > maxLabels-2:
		return 0, newFault("/labels", "must have at most %d entries: each frame gets %q and %q, too", maxLabels-2, batchLabel, frameLabel)
	case b.MaxRunning < 0:
		return 0, newFault("/max_running", "must be at least 0")
	}
	if f := b.Package.check(); f != nil {
		return 0, f
	}
	for _, label := range []string{batchLabel, frameLabel} {
		if _, taken := b.Job.Labels[label]; taken {
			return 0, newFault("/labels/"+label, "is set by the batch")
		}
	}
	frames = len(b.Frames)
	if len(b.Matrix) > 0 {
		frames, f = checkMatrix(b.Matrix)
	} else {
		f = checkFrames(b.Frames)
	}
	switch {
	case f != nil:
	case frames == 0:
		f = newFault("/frames", "must have at least one frame")
	case b.Bundle != nil && frames > MaxBundled:
		f = newFault("/bundle", "takes at most %d frames, not %d", MaxBundled, frames)
	}
	return frames, f
}

// identify gives the job of a frame its id, its labels and its needs.
func (b *Batch) identify(frame *Frame, job *Job) {
	job.ID, job.Labels = FrameID(b.ID, frame.Number), b.labels(strconv.Itoa(frame.Number))
	if len(frame.Needs) > 0 {
		job.Needs = append(make([]string, 0, len(b.Job.Needs)+len(frame.Needs)), b.Job.Needs...)
		for _, n := range frame.Needs {
			job.Needs = append(job.Needs, FrameID(b.ID, n))
		}
	}
}

// labels returns the labels of a job of the batch.
func (b *Batch) labels(frame string) map[string]string {
	labels := make(map[string]string, len(b.Job.Labels)+2)
	maps.Copy(labels, b.Job.Labels)
	labels[batchLabel], labels[frameLabel] = b.ID, frame
	return labels
}

// FrameID returns the id of the job of a frame: a UUID of the same version as that of the
// batch, and with its time if it has one. The rest is a digest of the batch and the number.
// The batch must be a valid id.
func FrameID(batch string, number int) string { return DerivedID(batch, strconv.Itoa(number)) }

// BundleID returns the id of the job that makes the bundle of a batch, see [FrameID].
func BundleID(batch string) string { return DerivedID(batch, bundleFrame) }

// DerivedID returns an id that is always the same for a job and a key, see [FrameID]. The id
// of the job must be valid.
func DerivedID(job, key string) string {
	digest := sha256.Sum256([]byte(job + "/" + key))
	own := uuid.MustParse(job)
	id := uuid.UUID(digest[:16])
	if own.Version() == 7 {
		copy(id[:6], own[:6])
	}
	id[6] = own[6]&0xf0 | id[6]&0x0f
	id[8] = 0x80 | id[8]&0x3f
	return id.String()
}
