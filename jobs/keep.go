package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Keep is how long a job is kept after its end, by its final state. Zero says nothing.
type Keep struct{ Succeeded, Failed, Cancelled Duration }

// errKeep says what a Keep is.
var errKeep = errors.New(`must be a time span above 0 such as "30d", "forever", or an object with both by final state`)

func keepSpan(text string) (Duration, error) {
	var d Duration
	if err := d.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil || d <= 0 {
		return 0, errKeep
	}
	return d, nil
}

// field returns the span of a final state, or nil for another state.
func (k *Keep) field(state State) *Duration {
	switch state {
	case Succeeded:
		return &k.Succeeded
	case Failed:
		return &k.Failed
	case Cancelled:
		return &k.Cancelled
	}
	return nil
}

// String returns such as "90d", or by state "succeeded=90d,failed=30d"; "" for the zero
// Keep.
func (k Keep) String() string {
	if k.Succeeded == k.Failed && k.Failed == k.Cancelled {
		return spanText(k.Succeeded)
	}
	var parts []string
	for _, state := range []State{Succeeded, Failed, Cancelled} {
		if d := *k.field(state); d != 0 {
			parts = append(parts, string(state)+"="+spanText(d))
		}
	}
	return strings.Join(parts, ",")
}

// spanText writes whole days as such.
func spanText(d Duration) string {
	switch {
	case d == 0:
		return ""
	case d == Forever:
		return keepForever
	case time.Duration(d)%day == 0:
		return fmt.Sprintf("%dd", time.Duration(d)/day)
	}
	return time.Duration(d).String()
}

// MarshalJSON writes a string if all final states are kept equally long, else an object.
func (k Keep) MarshalJSON() ([]byte, error) {
	if k.Succeeded == k.Failed && k.Failed == k.Cancelled {
		return json.Marshal(spanText(k.Succeeded))
	}
	spans := map[State]string{}
	for _, state := range []State{Succeeded, Failed, Cancelled} {
		if d := *k.field(state); d != 0 {
			spans[state] = spanText(d)
		}
	}
	return json.Marshal(spans)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (k *Keep) UnmarshalJSON(data []byte) error {
	var span string
	if json.Unmarshal(data, &span) == nil {
		return k.setAll(span)
	}
	var spans map[string]string
	if err := json.Unmarshal(data, &spans); err != nil {
		return errKeep
	}
	return k.setEach(spans)
}

func (k *Keep) setAll(span string) error {
	d, err := keepSpan(span)
	if err == nil {
		*k = Keep{d, d, d}
	}
	return err
}

func (k *Keep) setEach(spans map[string]string) error {
	var read Keep
	for state, span := range spans {
		d, err := keepSpan(span)
		field := read.field(State(state))
		if err != nil || field == nil {
			return errKeep
		}
		*field = d
	}
	*k = read
	return nil
}
