package jobs

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/inputurl"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
)

const (
	// MaxFrames is the largest number of frames of a [Batch].
	MaxFrames = 100_000
	// MaxFrame is the largest number that a frame can have.
	MaxFrame = 1<<31 - 1

	// frameNumber is the name of the number among the values of a frame.
	frameNumber = "frame"
)

const (
	// MaxPackage is the largest number of files in the package of a batch.
	MaxPackage = 10_000
	// maxPackageURLs bounds the URLs in all frames of a batch that name files of its package and
	// differ between frames: each is looked up before the batch is accepted.
	maxPackageURLs = 2_000_000
)

// Package are the files of a batch that are in the store of the nodes, by their names, with
// their SHA-256 digests. A name is a relative path, such as "scenes/forest.pov".
type Package map[string]string

// check checks names and digests.
func (p Package) check() *Fault {
	if len(p) > MaxPackage {
		return newFault("/package", "must have at most %d files, not %d", MaxPackage, len(p))
	}
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if why := inputurl.BadName(name); why != "" {
			return newFault(jsondoc.Member("/package", name), "%s", why)
		}
		if digest := p[name]; !validDigest(digest) {
			return newFault(jsondoc.Member("/package", name), "must be %s, not %s", wantDigest, jsondoc.Excerpt(digest))
		}
	}
	return nil
}

// resolve returns the URL of a file of the package, or the URL as it is.
func (p Package) resolve(url, pointer string) (string, *Fault) {
	name, ok := inputurl.Packaged(url)
	if !ok {
		return url, nil
	}
	digest, ok := p[name]
	if !ok {
		return "", newFault(pointer, "names the file %s, which is not in the package", jsondoc.Excerpt(name))
	}
	return inputurl.OfStore(digest), nil
}

// inPackage returns a copy of a bundle with the URLs of files of the package.
func (p Package) inPackage(job *Job) (Job, *Fault) {
	own := *job
	var f *Fault
	if own.Input.URL, f = p.resolve(job.Input.URL, "/bundle/input/url"); f != nil {
		return own, f
	}
	own.Files = slices.Clone(job.Files)
	for i := range own.Files {
		if own.Files[i].URL, f = p.resolve(job.Files[i].URL, jsondoc.Element("/bundle/files", i)+"/url"); f != nil {
			return own, f
		}
	}
	return own, nil
}

// Frame is one job of a [Batch].
type Frame struct {
	// Number is unique in the batch and not negative.
	Number int
	// Values are the parameters of the frame, by names such as "step_2".
	Values map[string]json.RawMessage
	// Needs are the numbers of the frames that must have succeeded before this one starts.
	// They come after those of Batch.Job.
	Needs []int
}

// Range returns frames with the numbers first, first+step and so on up to last. step must not
// be 0; it may be negative. There are at most [MaxFrames]+1 of them, which is one more than a
// batch takes.
func Range(first, last, step int) (frames []Frame) {
	for n := first; len(frames) <= MaxFrames && (step > 0 && n <= last || step < 0 && n >= last); n += step {
		frames = append(frames, Frame{Number: n})
	}
	return frames
}

// ParseFrames reads a list of numbers and ranges with optional steps, such as "1-100",
// "1-1000:10" or "1,5,20-30". The error says what is wrong in it.
func ParseFrames(list string) (frames []Frame, err error) {
	for part := range strings.SplitSeq(list, ",") {
		some, err := parseRange(part)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", part, err)
		}
		if len(frames)+len(some) > MaxFrames {
			return nil, fmt.Errorf("%.100q has more than %d frames", list, MaxFrames)
		}
		frames = append(frames, some...)
	}
	return frames, nil
}

func parseRange(part string) ([]Frame, error) {
	text, stepText, stepped := strings.Cut(part, ":")
	firstText, lastText, ranged := strings.Cut(text, "-")
	if !ranged {
		lastText = firstText
	}
	if !stepped {
		stepText = "1"
	}
	var numbers [3]int
	for i, s := range []string{firstText, lastText, stepText} {
		n, err := strconv.ParseUint(s, 10, 31)
		if err != nil {
			return nil, fmt.Errorf("write a number from 0 to %d, or a range such as 1-100 or 1-1000:10", MaxFrame)
		}
		numbers[i] = int(n)
	}
	first, last, step := numbers[0], numbers[1], numbers[2]
	switch {
	case step == 0 || stepped && !ranged:
		return nil, fmt.Errorf("a step must be above 0, and needs a range such as 1-1000:10")
	case first > last:
		return nil, fmt.Errorf("the first number is larger than the last")
	}
	return Range(first, last, step), nil
}

// Parameter is a name and the values that it takes.
type Parameter struct {
	Name   string
	Values []json.RawMessage
}

// maxParameters is the largest number of parameters of a matrix.
const maxParameters = 64

// checkMatrix checks parameters, and returns the number of their combinations.
func checkMatrix(list []Parameter) (frames int, f *Fault) {
	if len(list) > maxParameters {
		return 0, newFault("/matrix", "must have at most %d parameters, not %d", maxParameters, len(list))
	}
	seen := map[string]bool{}
	frames = 1
	for i := range list {
		p := &list[i]
		switch {
		case p.Name == frameNumber || !validValueName(p.Name):
			return 0, newFault("/matrix", valueNameRule, p.Name)
		case seen[p.Name]:
			return 0, newFault("/matrix", "has the parameter %s twice", p.Name)
		case len(p.Values) == 0:
			return 0, newFault("/matrix/"+p.Name, "must have at least one value")
		}
		seen[p.Name] = true
		if frames = min(frames, MaxFrames) * min(len(p.Values), MaxFrames+1); frames > MaxFrames {
			return 0, newFault("/matrix", "must have at most %d combinations", MaxFrames)
		}
		for k, v := range p.Values {
			if !jsontext.Value(v).IsValid() {
				return 0, newFault(jsondoc.Element("/matrix/"+p.Name, k), "is not JSON")
			}
		}
	}
	return frames, nil
}

// combination returns the frame with a number of a matrix.
func combination(list []Parameter, number int) Frame {
	values := make(map[string]json.RawMessage, len(list))
	rest := number
	for i := len(list) - 1; i >= 0; i-- {
		p := &list[i]
		values[p.Name] = p.Values[rest%len(p.Values)]
		rest /= len(p.Values)
	}
	return Frame{Number: number, Values: values}
}

const valueNameRule = "the name of a value must be 1 to 63 lower-case letters, digits or '_', the first a letter, and not \"frame\", but is %.100q"

// checkFrames checks the numbers, the names of values, and what the frames need.
func checkFrames(frames []Frame) *Fault {
	place := make(map[int]int, len(frames))
	for i := range frames {
		n := frames[i].Number
		if n < 0 || n > MaxFrame {
			return newFault("/frames", "must have numbers from 0 to %d, not %d", MaxFrame, n)
		}
		if _, twice := place[n]; twice {
			return newFault("/frames", "must not have the number %d twice", n)
		}
		place[n] = i
		for name := range frames[i].Values {
			if name == frameNumber || !validValueName(name) {
				return newFault("/frames", "frame %d: "+valueNameRule, n, name)
			}
		}
	}
	for i := range frames {
		for _, need := range frames[i].Needs {
			if _, known := place[need]; !known {
				return newFault("/frames", "frame %d needs frame %d, which the batch does not have", frames[i].Number, need)
			}
		}
	}
	return checkCycles(frames, place)
}

// checkCycles returns a fault with the path of frames that need one another in a circle.
func checkCycles(frames []Frame, place map[int]int) *Fault {
	const fresh, open, done = 0, 1, 2
	state := make([]byte, len(frames))
	next := make([]int, len(frames)) // the need to look at
	for start := range frames {
		path := []int{start}
		for len(path) > 0 {
			at := path[len(path)-1]
			state[at] = open
			if next[at] == len(frames[at].Needs) {
				state[at], path = done, path[:len(path)-1]
				continue
			}
			need := place[frames[at].Needs[next[at]]]
			next[at]++
			switch state[need] {
			case fresh:
				path = append(path, need)
			case open:
				return cycleFault(frames, append(path, need))
			}
		}
	}
	return nil
}

// cycleFault names the frames from the first one at the end of path to its end.
func cycleFault(frames []Frame, path []int) *Fault {
	const most = 8 // are named
	last := path[len(path)-1]
	var way []string
	for i := len(path) - 1; i >= 0; i-- {
		way = append([]string{strconv.Itoa(frames[path[i]].Number)}, way...)
		if i < len(path)-1 && path[i] == last {
			break
		}
		if len(way) == most {
			way = append([]string{"…"}, way...)
			break
		}
	}
	return newFault("/frames", "need one another in a circle: %s", strings.Join(way, " needs "))
}

// validValueName reports whether a value may have this name.
func validValueName(name string) bool {
	if name == "" || len(name) > maxLabelName || name[0] < 'a' || name[0] > 'z' {
		return false
	}
	return strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}
