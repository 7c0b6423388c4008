package bench

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime/pprof"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxProfile bounds a profile, in bytes.
const maxProfile = 64 << 20

// restOfNode is the part of what belongs to no other.
const restOfNode = "the rest"

// ownWork is the part of the benchmark itself. It is not the node's.
const ownWork = "the benchmark"

// partRules say to which part a function belongs. The first rule that fits the innermost
// function decides.
var partRules = []struct{ function, part string }{
	{"internal/jobdoc.", "decoding of documents"},
	{"internal/dispatch.", "intake and sending"},
	{"internal/queue.", "client of beanstalkd"},
	{"internal/ledger/", "ledger"},
	{"internal/ledger.", "ledger"},
	{"internal/store.", "store"},
	{"worker/internal/publish.", "publishing"},
	{"worker/internal/process", "starting and reading programs"},
	{"syscall.forkExec", "starting and reading programs"},
	{"os/exec.", "starting and reading programs"},
	{"worker/", "slots and executors"},
	{"runnerbean/worker.", "slots and executors"},
	{"runnerbean/publisher", "publisher"},
	{"runtime.gc", "garbage collection"},
	{"runtime.bgsweep", "garbage collection"},
	{"runtime.bgscavenge", "garbage collection"},
	{"runtime.(*mheap)", "garbage collection"},
	{"runtime.mcall", "scheduler of Go"},
	{"runtime.schedule", "scheduler of Go"},
	{"runtime.mstart", "scheduler of Go"},
	{"runtime.sysmon", "scheduler of Go"},
}

// partOf returns the part to which a stack belongs. The innermost function is the first.
func partOf(stack []string) string {
	for _, function := range stack {
		if strings.Contains(function, "runnerbean/internal/bench.") {
			return ownWork
		}
	}
	for _, function := range stack {
		for _, rule := range partRules {
			if strings.Contains(function, rule.function) {
				return rule.part
			}
		}
	}
	return restOfNode
}

// profiler takes a processor profile. It takes none where something else does.
type profiler struct {
	buffer bytes.Buffer
	runs   bool
}

func (p *profiler) start() {
	p.buffer.Reset()
	p.runs = pprof.StartCPUProfile(&p.buffer) == nil
}

// stop returns the profile, or nil.
func (p *profiler) stop() []byte {
	if !p.runs {
		return nil
	}
	p.runs = false
	pprof.StopCPUProfile()
	return p.buffer.Bytes()
}

// addParts adds the processor time of each part in a profile.
func addParts(parts map[string]time.Duration, profile []byte) error {
	if len(profile) == 0 {
		return nil
	}
	z, err := gzip.NewReader(bytes.NewReader(profile))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(z, maxProfile))
	if err != nil {
		return err
	}
	var p parsedProfile
	if err := p.parse(text); err != nil {
		return err
	}
	for _, s := range p.samples {
		parts[partOf(p.stack(s))] += s.took
	}
	return nil
}

// parsedProfile has what is needed of a profile: see profile.proto of pprof.
type parsedProfile struct {
	samples   []sample
	lines     map[uint64][]uint64 // functions of a location, the innermost first
	functions map[uint64]uint64   // where the name of each is in texts
	texts     []string
}

type sample struct {
	locations []uint64
	took      time.Duration
}

func (p *parsedProfile) stack(s sample) (names []string) {
	for _, location := range s.locations {
		for _, function := range p.lines[location] {
			if at := p.functions[function]; at < uint64(len(p.texts)) {
				names = append(names, p.texts[at])
			}
		}
	}
	return names
}

func (p *parsedProfile) parse(text []byte) error {
	p.lines, p.functions = map[uint64][]uint64{}, map[uint64]uint64{}
	return fields(text, func(field protowire.Number, _ uint64, inner []byte) error {
		switch field {
		case 2:
			return p.addSample(inner)
		case 4:
			return p.addLocation(inner)
		case 5:
			return p.addFunction(inner)
		case 6:
			p.texts = append(p.texts, string(inner))
		}
		return nil
	})
}

func (p *parsedProfile) addSample(text []byte) error {
	var s sample
	var values []uint64 // the number of samples, and nanoseconds
	err := fields(text, func(field protowire.Number, n uint64, inner []byte) error {
		list := &s.locations
		if field == 2 {
			list = &values
		} else if field != 1 {
			return nil
		}
		if inner == nil {
			*list = append(*list, n)
			return nil
		}
		for len(inner) > 0 {
			n, size := protowire.ConsumeVarint(inner)
			if size < 0 {
				return protowire.ParseError(size)
			}
			*list, inner = append(*list, n), inner[size:]
		}
		return nil
	})
	if err == nil && len(values) != 2 {
		err = errors.New("the profile is not one of the processor")
	}
	if err != nil {
		return err
	}
	s.took = time.Duration(values[1])
	p.samples = append(p.samples, s)
	return nil
}

func (p *parsedProfile) addLocation(text []byte) error {
	var id uint64
	var functions []uint64
	err := fields(text, func(field protowire.Number, n uint64, inner []byte) error {
		switch field {
		case 1:
			id = n
		case 4:
			return fields(inner, func(field protowire.Number, n uint64, _ []byte) error {
				if field == 1 {
					functions = append(functions, n)
				}
				return nil
			})
		}
		return nil
	})
	p.lines[id] = functions
	return err
}

func (p *parsedProfile) addFunction(text []byte) error {
	var id, name uint64
	err := fields(text, func(field protowire.Number, n uint64, _ []byte) error {
		switch field {
		case 1:
			id = n
		case 2:
			name = n
		}
		return nil
	})
	p.functions[id] = name
	return err
}

// fields calls visit for each field of a message: with the number, or with the bytes.
func fields(text []byte, visit func(field protowire.Number, n uint64, inner []byte) error) error {
	for len(text) > 0 {
		field, kind, size := protowire.ConsumeTag(text)
		if size < 0 {
			return protowire.ParseError(size)
		}
		text = text[size:]
		var n uint64
		var inner []byte
		switch kind {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(text)
		case protowire.BytesType:
			inner, size = protowire.ConsumeBytes(text)
		default:
			size = protowire.ConsumeFieldValue(field, kind, text)
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		if err := visit(field, n, inner); err != nil {
			return err
		}
		text = text[size:]
	}
	return nil
}
