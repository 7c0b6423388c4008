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
var errKeep = errors.New(`must be a time span above 0 such as "30d", "forever", or both by final state such as succeeded=90d,failed=30d`)

// ParseKeep reads "90d" or "forever" for all final states, or spans by state such as
// "succeeded=90d,failed=30d". "" says nothing.
func ParseKeep(text string) (Keep, error) {
	var k Keep
	if strings.TrimSpace(text) == "" {
		return k, nil
	}
	if !strings.Contains(text, "=") {
		d, err := keepSpan(text)
		return Keep{d, d, d}, err
	}
	for _, part := range strings.Split(text, ",") {
		state, span, _ := strings.Cut(part, "=")
		d, err := keepSpan(span)
		field := k.field(State(strings.TrimSpace(state)))
		if err != nil || field == nil || *field != 0 {
			return Keep{}, errKeep
		}
		*field = d
	}
	return k, nil
}

func keepSpan(text string) (Duration, error) {
	if strings.TrimSpace(text) == keepForever {
		return Forever, nil
	}
	d, err := ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errKeep
	}
	return Duration(d), nil
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

// Of returns how long a job is kept that ended in a state: a span, Forever, or 0 if k
// says nothing.
func (k Keep) Of(state State) Duration {
	if d := k.field(state); d != nil {
		return *d
	}
	return 0
}

// Or returns k, with the spans of other where k says nothing.
func (k Keep) Or(other Keep) Keep {
	for _, state := range States {
		if d := k.field(state); d != nil && *d == 0 {
			*d = other.Of(state)
		}
	}
	return k
}

// Shortest returns the shortest span of k, or 0 if no state is deleted after a time.
func (k Keep) Shortest() time.Duration {
	shortest := Forever
	for _, d := range []Duration{k.Succeeded, k.Failed, k.Cancelled} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	if shortest == Forever {
		return 0
	}
	return time.Duration(shortest)
}

// String returns the text that ParseKeep reads; "" for the zero Keep.
func (k Keep) String() string {
	if k.Succeeded == k.Failed && k.Failed == k.Cancelled {
		return spanText(k.Succeeded)
	}
	var parts []string
	for _, state := range []State{Succeeded, Failed, Cancelled} {
		if d := k.Of(state); d != 0 {
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

// UnmarshalText is [ParseKeep].
func (k *Keep) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKeep(string(text))
	return err
}

// MarshalJSON writes a string if all final states are kept equally long, else an object.
func (k Keep) MarshalJSON() ([]byte, error) {
	if k.Succeeded == k.Failed && k.Failed == k.Cancelled {
		return json.Marshal(spanText(k.Succeeded))
	}
	spans := map[State]string{}
	for _, state := range []State{Succeeded, Failed, Cancelled} {
		if d := k.Of(state); d != 0 {
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
