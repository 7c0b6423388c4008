package jobs

import (
	"cmp"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/internal/inputurl"
	"github.com/runnerbean/runnerbean/internal/jsondoc"
)

// Validate checks a complete job by the rules of the nodes: those of the JSON Schema,
// and those that a schema cannot express. [Client.Enqueue] does so after it has filled
// in what is missing. The error is a [*Fault].
func (j Job) Validate() error {
	f := j.check()
	if f == nil && j.Input.Data != nil {
		_, f = appendData(nil, j.Input.Data)
	}
	if f == nil {
		f = j.packageRule()
	}
	if f != nil {
		return j.identified(f)
	}
	return nil
}

// identified adds the id, program and result URL to a fault, each only if it is valid.
func (j *Job) identified(f *Fault) *Fault {
	if ValidID(j.ID) {
		f.ID = j.ID
	}
	if validName(j.Program, maxProgram) {
		f.Program = j.Program
	}
	if f.ID != "" && urlText(j.Result.URL) && j.resultRule() == nil {
		f.ResultURL = j.Result.URL
	}
	return f
}

// check checks all but the JSON of input.data. Of several faults it returns the one
// that nodes report: first those of the schema, then those of spans, then the rules
// that a schema cannot express.
func (j *Job) check() *Fault {
	if f := j.Input.dataFault(); f != nil {
		return f
	}
	if jsondoc.Depth(j.Input.Data)+dataDepth > maxDepth {
		return newFault("/input/data", "must not be nested deeper than %d levels", maxDepth)
	}
	var first firstFault
	j.checkIdentity(&first)
	j.checkInput(&first)
	j.checkFiles(&first)
	j.checkNeeds(&first)
	j.checkLabels(&first)
	j.checkTimes(&first)
	if first.fault != nil {
		return first.fault
	}
	if f := j.checkSpans(); f != nil {
		return f
	}
	for _, rule := range [...]func(*Job) *Fault{(*Job).resultRule, (*Job).urlRules, (*Job).fileRules, (*Job).idRules, (*Job).timeRule} {
		if f := rule(j); f != nil {
			return f
		}
	}
	return nil
}

// firstFault keeps the least nested fault that is first by name, and of those of one
// value the first that was found.
type firstFault struct {
	pointer string
	fault   *Fault
}

func (f *firstFault) add(pointer, wants string, args ...any) {
	f.addFault(pointer, newFault(pointer, wants, args...))
}

func (f *firstFault) addFault(pointer string, fault *Fault) {
	if f.fault == nil || cmp.Or(cmp.Compare(len(pointer), len(f.pointer)), cmp.Compare(pointer, f.pointer)) < 0 {
		f.pointer, f.fault = pointer, fault
	}
}

// addValue adds the fault of a value that the message repeats.
func (f *firstFault) addValue(pointer, wants, value string) {
	f.add(pointer, "must be "+wants+", not %s", jsondoc.Excerpt(value))
}

func (f *firstFault) addURL(pointer, value string) {
	if len([]rune(value)) > maxURL {
		f.add(pointer, "must have at most %s", jsondoc.Count(maxURL, "character"))
		return
	}
	f.add(pointer, "must be "+wantURL+", not %s", jsondoc.ExcerptURL(value))
}

// sourceText reports whether s may say where an input is, by its text.
func sourceText(s string) bool {
	if inputurl.IsWeb(s) {
		return urlText(s)
	}
	return inputurl.ValidText(s, maxURL)
}

func (f *firstFault) addSource(pointer, value string) {
	if len([]rune(value)) > maxURL {
		f.addURL(pointer, value)
		return
	}
	f.add(pointer, "must be "+wantSource+", not %s", jsondoc.ExcerptURL(value))
}

func (j *Job) checkIdentity(first *firstFault) {
	if !ValidID(j.ID) {
		first.addValue("/id", wantID, j.ID)
	}
	if !validName(j.Program, maxProgram) {
		first.addValue("/program", wantProgram, j.Program)
	}
	if !urlText(j.Result.URL) {
		first.addURL("/result/url", j.Result.URL)
	}
	if j.Webhook != "" && !urlText(j.Webhook) {
		first.addURL("/webhook", j.Webhook)
	}
	if j.RerunOf != "" && !ValidID(j.RerunOf) {
		first.addValue("/rerun_of", wantID, j.RerunOf)
	}
	if j.Traceparent != "" && !validTrace(j.Traceparent) {
		first.addValue("/traceparent", wantTrace, j.Traceparent)
	}
	if j.Attempts < 0 {
		first.add("/attempts", "must be at least 1")
	}
	if j.Attempts > maxAttempts {
		first.add("/attempts", "must be at most %d", maxAttempts)
	}
}

func (j *Job) checkInput(first *firstFault) {
	in := &j.Input
	data := trimSpace(in.Data)
	// Beside a URL null is no data.
	hasData := in.Data != nil && (in.URL == "" || string(data) != "null")
	if in.SHA256 != "" && in.URL == "" {
		first.add("/input", "may have sha256 only beside url")
	}
	if (in.URL != "") == hasData {
		first.add("/input", "must have exactly one of url and data")
	}
	if in.URL != "" && !sourceText(in.URL) {
		first.addSource("/input/url", in.URL)
	}
	if in.SHA256 != "" && !validDigest(in.SHA256) {
		first.addValue("/input/sha256", wantDigest, in.SHA256)
	}
	if in.Data != nil && len(data) == 0 {
		first.add("/input/data", "must be a JSON value, and is empty")
	}
}

func (j *Job) checkFiles(first *firstFault) {
	if len(j.Files) > maxFiles {
		first.add("/files", "must have at most %s", jsondoc.Count(maxFiles, "entry"))
		return
	}
	for i := range j.Files {
		f := &j.Files[i]
		at := func(member string) string { return jsondoc.Element("/files", i) + member }
		switch {
		case len(f.Name) > maxFileName && len([]rune(f.Name)) > maxFileName:
			first.add(at("/name"), "must have at most %s", jsondoc.Count(maxFileName, "character"))
		case f.Name == "":
			first.add(at("/name"), "must have at least 1 character")
		case !validFileName(f.Name):
			first.addValue(at("/name"), wantFileName, f.Name)
		}
		if !sourceText(f.URL) {
			first.addSource(at("/url"), f.URL)
		}
		if f.SHA256 != "" && !validDigest(f.SHA256) {
			first.addValue(at("/sha256"), wantDigest, f.SHA256)
		}
		if f.Size < 0 {
			first.add(at("/size"), "must be at least 0")
		}
		if f.Size > maxFileSize {
			first.add(at("/size"), "must be at most %d", int64(maxFileSize))
		}
	}
}

func (j *Job) checkNeeds(first *firstFault) {
	if len(j.Needs) > maxNeeds {
		first.add("/needs", "must have at most %s", jsondoc.Count(maxNeeds, "entry"))
		return
	}
	seen := make(map[string]bool, len(j.Needs))
	for i, id := range j.Needs {
		switch {
		case len(id) > maxURL && len([]rune(id)) > maxURL:
			first.add(jsondoc.Element("/needs", i), "must have at most %s", jsondoc.Count(maxURL, "character"))
		case !validNeed(id):
			first.addValue(jsondoc.Element("/needs", i), wantNeed, id)
		}
		if seen[id] {
			first.add("/needs", "must not have the same entry twice")
		}
		seen[id] = true
	}
}

func (j *Job) checkLabels(first *firstFault) {
	if len(j.Labels) > maxLabels {
		first.add("/labels", "must have at most %s", jsondoc.Count(maxLabels, "entry"))
		return
	}
	for name, value := range j.Labels {
		at := func() string { return jsondoc.Member("/labels", name) }
		switch {
		case len(value) > maxLabel && len([]rune(value)) > maxLabel:
			first.add(at(), "must have at most %s", jsondoc.Count(maxLabel, "character"))
		case !validName(name, maxLabelName):
			first.addFault(at(), &Fault{
				Pointer: jsondoc.Bounded(at()),
				Message: "labels: the name " + jsondoc.Excerpt(name) + " must be " + wantLabel,
			})
		case !utf8.ValidString(value):
			first.add(at(), "must be %s", wantUTF8)
		}
	}
}

func (j *Job) checkTimes(first *firstFault) {
	if !validTime(j.Created) {
		first.add("/created", "must be %s", wantTime)
	}
	if !validTime(j.NotBefore) {
		first.add("/not_before", "must be %s", wantTime)
	}
	if !validTime(j.Expires) {
		first.add("/expires", "must be %s", wantTime)
	}
	if d := j.Timeout; d < 0 || d == Forever {
		first.addValue("/timeout", wantTimeout, d.text())
	}
	if d := j.Repeat; d < 0 || d == Forever {
		first.addValue("/repeat", wantRepeat, d.text())
	}
	if d := j.NeedsTimeout; d < 0 {
		first.addValue("/needs_timeout", wantNeeds, d.text())
	}
	if f := j.NeedsFailed; f != "" && f != NeedsFail && f != NeedsRun {
		first.addValue("/needs_failed", wantFailed, f)
	}
}

// checkSpans checks how long spans are, which a schema cannot.
func (j *Job) checkSpans() *Fault {
	if k := j.Keep; k.Succeeded < 0 || k.Failed < 0 || k.Cancelled < 0 {
		return newFault("/keep", "must be %s", wantKeep)
	}
	if d := j.Timeout; d > maxTimeout {
		return newFault("/timeout", "must be %s, not %q", wantTimeout, d.text())
	}
	if d := j.NeedsTimeout; d > maxTimeout && d != Forever {
		return newFault("/needs_timeout", "must be %s, not %q", wantNeeds, d.text())
	}
	if d := j.Repeat; d != 0 && (d < minRepeat || d > maxRepeat) {
		return newFault("/repeat", "must be %s, not %q", wantRepeat, d.text())
	}
	return nil
}

// resultRule checks that the result URL ends in the id. So it belongs to one job,
// and further URLs can be made by appending to it.
func (j *Job) resultRule() *Fault {
	const at = "/result/url"
	if f := checkURL(at, j.Result.URL); f != nil {
		return f
	}
	if strings.ContainsAny(j.Result.URL, "?#") {
		return newFault(at, "must have neither query nor fragment, but is %s", jsondoc.ExcerptURL(j.Result.URL))
	}
	if id, ok := strings.CutSuffix(j.Result.URL, j.ID); !ok || !strings.HasSuffix(id, "/") {
		return newFault(at, "must end in %q, but is %s", "/"+j.ID, jsondoc.ExcerptURL(j.Result.URL))
	}
	return nil
}

// urlRules checks that all other URLs are absolute and hold no password.
func (j *Job) urlRules() *Fault {
	if j.Input.URL != "" && inputurl.IsWeb(j.Input.URL) {
		if f := checkURL("/input/url", j.Input.URL); f != nil {
			return f
		}
	}
	if j.Webhook != "" {
		if f := checkURL("/webhook", j.Webhook); f != nil {
			return f
		}
	}
	for i := range j.Files {
		if !inputurl.IsWeb(j.Files[i].URL) {
			continue
		}
		if f := checkURL("", j.Files[i].URL); f != nil {
			return checkURL(jsondoc.Element("/files", i)+"/url", j.Files[i].URL)
		}
	}
	return nil
}

// packageRule checks that the job names no file of a package, since it has none.
func (j *Job) packageRule() *Fault {
	const wants = "must not name a file of a package: only the job of a batch has one"
	if _, packaged := inputurl.Packaged(j.Input.URL); packaged {
		return newFault("/input/url", wants)
	}
	for i := range j.Files {
		if _, packaged := inputurl.Packaged(j.Files[i].URL); packaged {
			return newFault(jsondoc.Element("/files", i)+"/url", wants)
		}
	}
	return nil
}

// checkURL checks that a URL is absolute, http or https, and without a user.
func checkURL(pointer, s string) *Fault {
	if plainURL(s) {
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return newFault(pointer, "must be %s, not %s", wantURL, jsondoc.ExcerptURL(s))
	}
	if u.User != nil {
		// The password is not repeated.
		return newFault(pointer, "must not carry a user name or password")
	}
	return nil
}

// fileRules checks that file names fit into a file system and are unique.
func (j *Job) fileRules() *Fault {
	first := make(map[string]int, len(j.Files))
	for i := range j.Files {
		name := j.Files[i].Name
		if len(name) > maxFileName {
			return newFault(jsondoc.Element("/files", i)+"/name", "must have at most %d bytes", maxFileName)
		}
		if k, ok := first[name]; ok {
			return newFault(jsondoc.Element("/files", i)+"/name", "must differ from the name of files[%d], %s", k, jsondoc.Excerpt(name))
		}
		first[name] = i
		if name == needsFolder && len(j.Needs) > 0 {
			return newFault(jsondoc.Element("/files", i)+"/name", "must not be %q in a job with needs: inputs/%[1]s is the folder of what they have left", needsFolder)
		}
	}
	return nil
}

// idRules checks that a job neither waits for itself nor repeats itself, and needs no job
// twice.
func (j *Job) idRules() *Fault {
	first := make(map[string]int, len(j.Needs))
	for i, need := range j.Needs {
		id := NeedID(need)
		if id == j.ID {
			return newFault(jsondoc.Element("/needs", i), "must not be the job itself")
		}
		if k, ok := first[id]; ok {
			return newFault(jsondoc.Element("/needs", i), "must not be the same job as needs[%d]", k)
		}
		first[id] = i
	}
	if j.RerunOf == j.ID {
		return newFault("/rerun_of", "must not be the job's own id")
	}
	return nil
}

// timeRule checks that a job can start before it expires.
func (j *Job) timeRule() *Fault {
	if j.Expires.IsZero() || j.NotBefore.Before(j.Expires) {
		return nil
	}
	return newFault("/expires", "must be after not_before")
}
