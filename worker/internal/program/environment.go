package program

import (
	"os"
	"slices"
	"strconv"
	"strings"
)

// defaultPath is the PATH of programs whose program.json does not name PATH.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// path returns the PATH of the program.
func (m *Manifest) path() string {
	if path, ok := os.LookupEnv("PATH"); ok && slices.Contains(m.Environment, "PATH") {
		return path
	}
	return defaultPath
}

// ThreadVars are the variables that tell libraries and runtimes how many threads to
// start. Without them each program starts one for every processor.
var ThreadVars = []string{
	"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
	"NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS", "JULIA_NUM_THREADS", "GOMAXPROCS",
}

// Environ returns the whole environment of the program: defaults and the number of
// threads, and the variables of the node that program.json names, which replace
// defaults of that name. Every name is there once: programs differ in which of two
// entries they take.
func (m *Manifest) Environ(defaults []string, threads int) []string {
	passed := map[string]bool{}
	for _, name := range m.Environment {
		passed[name] = true
	}
	env := make([]string, 0, 1+len(defaults)+len(ThreadVars)+len(passed))
	for _, entry := range append([]string{"PATH=" + defaultPath}, defaults...) {
		name, _, _ := strings.Cut(entry, "=")
		if _, there := os.LookupEnv(name); !passed[name] || !there {
			env = append(env, entry)
		}
	}
	for _, name := range ThreadVars {
		if !passed[name] {
			env = append(env, name+"="+strconv.Itoa(threads))
		}
	}
	for name := range passed {
		if value, there := os.LookupEnv(name); there {
			env = append(env, name+"="+value)
		}
	}
	return env
}
