package logtext

import (
	"regexp"
	"strings"
)

// ErrorLine returns the line of a log that names the error of the program, in the
// formats that common languages print. The log is as Render returns it. If no line
// names an error, ErrorLine returns the last line that is not boilerplate.
func ErrorLine(log string) string {
	s := scanErrors(log)
	for _, line := range []string{s.best(), s.plain, s.last} {
		if line != "" {
			return line
		}
	}
	return ""
}

// NamedError returns the line of a log that names an error, or "" if none does.
func NamedError(log string) string { return scanErrors(log).best() }

// scanErrors reads all lines of a log.
func scanErrors(log string) *errorScan {
	s := &errorScan{}
	for line := range strings.Lines(log) {
		s.read(strings.TrimRight(line, "\r\n\t "))
	}
	return s
}

// maxErrorsFound is the largest number of errors that are kept in memory. The newest
// are kept.
const maxErrorsFound = 256

// errorRule recognizes a line that names an error.
type errorRule struct {
	line *regexp.Regexp
	// next matches the next line if it continues the message. Its group is the
	// continuation.
	next *regexp.Regexp
	// near is the largest number of other lines after the error. If more lines follow,
	// the error did not end the program.
	near int
	// weak rules count only if no other rule matches, because their lines may not name
	// the error.
	weak bool
}

var (
	anyLine  = regexp.MustCompile(`^\s*(.+)$`)
	whatLine = regexp.MustCompile(`^\s+what\(\):\s*(.+)$`)
)

func named(expr string) *regexp.Regexp { return regexp.MustCompile(expr) }

var errorRules = []errorRule{
	// C++
	{line: named(`^terminate called (?:after throwing|without an active exception|recursively)`), next: whatLine, near: 20},
	// Rust
	{line: named(`^thread '.*' (?:\(\d+\) )?panicked at .*:$`), next: anyLine, near: 20},
	{line: named(`^thread '.*' panicked at .`), near: 20},
	// R and MATLAB
	{line: named(`^Error in .*:$`), next: anyLine, near: 20},
	{line: named(`^Error using `), next: anyLine, near: 20},
	{line: named(`^Error in .* : `), near: 20},
	// Java
	{line: named(`^Exception in thread "`), near: 20},
	// Go
	{line: named(`^(?:panic|fatal error): `), near: 20},
	// JavaScript, Python, Java, …
	{line: named(`^(?:Uncaught )?(?:[\w$]+\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Rejection|Failure)(?: \[\w+\])?(?:: .*)?$`), near: 20},
	{line: named(`^\[UnhandledPromiseRejection`), near: 20},
	{line: named(`^FATAL ERROR: `), near: 20},
	// Julia, Rust's main, …
	{line: named(`^(?:ERROR|Error): .`), near: 20},
	// Ruby
	{line: named(`^\S+:\d+:in .*: .*\([A-Z]\w*(?:::\w+)*\)$`), near: 20},
	// C
	{line: named(`Assertion .* failed\.?$|Assertion failed: `), near: 20},
	{line: named(`ERROR: (?:Address|Leak|Memory|Thread)Sanitizer: `), near: 40},
	{line: named(`^\S+:\d+:\d+: runtime error: `), near: 20},
	{line: named(`^\*\*\* .* \*\*\*: terminated|^(?:free|malloc|realloc|munmap_chunk|corrupted)\S*\(\)?: |^double free or corruption|^malloc\(\): `), near: 20},
	{line: named(`: error while loading shared libraries: `), near: 20},
	// Fortran
	{line: named(`^ERROR STOP|^Fortran runtime error: |^forrtl: (?:severe|error)|^Program received signal `), near: 20},
	// POV-Ray
	{line: named(`\b(?:Parse|Render) Error: `), near: 20},
	// Slurm
	{line: named(`^slurmstepd: error: `), near: 20},
	// Perl
	{line: named(` at \S+ line \d+(?:, <\S*> (?:line|chunk) \d+)?\.$`), near: 1},
	// Shells. The message of the child itself says more than the message that it was
	// killed.
	{line: named(`^\S+:(?: line)? \d+:\s+\d+ \S`), near: 5, weak: true},
	{line: named(`^\S+:(?: line)? \d+: .`), near: 1},
	{line: named(`^(?:Aborted|Killed|Segmentation fault|Bus error|Floating point exception|Illegal instruction|Terminated)\b`), near: 5, weak: true},
	// Any line that calls itself an error.
	{line: named(`(?i)(?:^|[\s\[:(<])(?:error|fatal|critical|severe|panic)(?:\[\w+\])?[\]>)]?: ?.|\[(?:error|fatal|critical)\]|\blevel"?[=:] ?"?(?:error|fatal)`), near: 5, weak: true},
	{line: named(`\b(?:ERROR|FATAL|CRITICAL|SEVERE)\b`), near: 5, weak: true},
	{line: named(`(?i)out of memory|oom_kill|cannot allocate memory|no space left on device`), near: 5, weak: true},
}

// boilerplate matches lines that say nothing about the error. Neither do indented lines.
var boilerplate = named(`^(?:` + strings.Join([]string{
	`Node\.js v\d`, `\(Use .node --trace`, `note: `, `stack backtrace:`, `exit status \d+$`, `goroutine \d+`, `\[signal `, `created by `,
	`Execution halted$`, `Calls: `, `Stacktrace:`, `in expression starting at `, `Backtrace for this error`, `Error termination\. Backtrace`,
	`#\d+ `, `\d+: 0x`, `BEGIN failed--`, `Compilation failed in require`, `Execution of \S+ aborted due to`, `Use of uninitialized value`,
	`error: called from`, `Render failed`, `Fatal error in parser`, `error: aborting due to`, `error: could not compile`,
	`error: process didn't exit successfully`, `For more information about this error`, `Some errors have detailed`,
	`make(?:\[\d+\])?: \*\*\*`, `npm (?:ERR!|error)`, `Picked up \w+_OPTIONS`, `==\d+==ABORTING`, `SUMMARY: \w+Sanitizer`,
	`srun: (?:error: .*(?:[Ee]xited with exit code|task)|Job step aborted|Terminating)`, `Command exited with non-zero`,
	`(?:real|user|sys)\s+\d+m`, `runnerbean: `, `The above exception was`, `During handling of the above`, `throw er; //`,
	// Open MPI and MPICH
	`Primary job `, `a non-zero exit code`, `(?:mpirun|mpiexec|prterun|prun)\b.*(?:detected|noticed|has exited)`, `thus causing`,
	`MPI_ABORT was invoked`, `with errorcode`, `NOTE: invoking MPI_ABORT`, `You may or may not see`, `exactly when Open MPI`,
	`Process name:`, `Exit code:`, `= `, `YOUR APPLICATION TERMINATED`, `This typically refers to`, `Please see the FAQ`, `\[proxy:`, `\[mpiexec@`,
	// lines without a word
	`[^\pL\pN]*$`,
}, `|`) + `)`)

var (
	groupPrefix = named(`^\s*(?:\| |\+[-+]*(?: \d+ -+)? ?)`) // prefix of the lines of exception groups in Python
	traceback   = named(`^(?:Exception Group )?Traceback \(most recent call last\):`)
	causeLine   = named(`^(?:\s+\[cause\]|Caused by|caused by): (.+)$`)
)

// errorFound is a line that names an error. The field plain counts the other lines
// before it.
type errorFound struct {
	errorRule
	text, cause string
	plain       int
}

// errorScan reads a log line by line and collects the errors.
type errorScan struct {
	found   []errorFound
	last    string // the last line that is not empty
	plain   string // the last line that is not boilerplate
	plains  int
	pending *errorFound // set if its message may continue in the next line
	traced  bool        // inside a Python traceback
	ignored bool        // inside the traceback of an error that Python ignored
}

// read processes the next line.
func (s *errorScan) read(raw string) {
	line := groupPrefix.ReplaceAllString(raw, "")
	text := strings.TrimSpace(line)
	if text == "" || s.goesOn(line) {
		return
	}
	s.last = text
	cause := causeLine.FindStringSubmatch(line)
	switch indented := line[0] == ' ' || line[0] == '\t'; {
	case cause != nil && len(s.found) > 0:
		s.found[len(s.found)-1].cause = cause[1]
	case strings.HasPrefix(text, "Exception ignored in"):
		s.ignored = true
	case traceback.MatchString(text):
		s.traced = true
	case indented && !strings.Contains(text, "Parse Error:"):
	case s.ignored:
		s.ignored, s.traced = false, false
	case boilerplate.MatchString(text):
	case s.traced:
		s.traced = false
		s.add(errorFound{errorRule: errorRule{near: 20}, text: text})
	default:
		s.match(text)
	}
}

// goesOn reports whether the line continues a pending message, and adds it to the
// message.
func (s *errorScan) goesOn(line string) bool {
	p := s.pending
	if p == nil {
		return false
	}
	s.pending = nil
	if rest := p.next.FindStringSubmatch(line); rest != nil && !boilerplate.MatchString(rest[1]) {
		s.found[len(s.found)-1].text = strings.TrimRight(p.text, " :") + ": " + strings.TrimSpace(rest[1])
		return true
	}
	return false
}

// match adds the line if a rule matches it.
func (s *errorScan) match(text string) {
	for _, rule := range errorRules {
		if rule.line.MatchString(text) {
			s.add(errorFound{errorRule: rule, text: text})
			return
		}
	}
	s.plain = text
	s.plains++
}

func (s *errorScan) add(f errorFound) {
	f.plain = s.plains
	if len(s.found) == maxErrorsFound {
		s.found = append(s.found[:0], s.found[maxErrorsFound/2:]...)
	}
	s.found = append(s.found, f)
	if f.next != nil {
		s.pending = &f
	}
}

// best returns the last error that ended the program. It returns a weak one only if
// there is no other.
func (s *errorScan) best() string {
	for _, weak := range []bool{false, true} {
		for i := len(s.found) - 1; i >= 0; i-- {
			f := &s.found[i]
			if f.weak != weak || s.plains-f.plain > f.near {
				continue
			}
			if f.cause != "" {
				return f.text + "; caused by: " + f.cause
			}
			return f.text
		}
	}
	return ""
}
