package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of the input. They keep a fit within seconds and prevent overflow.
const (
	maxInput    = 8 << 20 // bytes
	maxValues   = 50_000
	maxHorizon  = 10_000
	maxSeason   = 20_000
	maxInterval = 366 * 24 * 3600 // seconds
	maxUnit     = 64              // bytes
	maxValue    = 1e12
)

// input is the document on standard input.
type input struct {
	Series  observed `json:"series"`
	Seasons []count  `json:"seasons"`
	Horizon count    `json:"horizon"`
}

// observed is a time series of values at equal distances.
type observed struct {
	Start    string   `json:"start"`
	Interval count    `json:"interval_s"`
	Unit     string   `json:"unit"`
	Values   []number `json:"values"`

	start time.Time
}

// number and count refuse null, which encoding/json would read as 0.
type (
	number float64
	count  int
)

func (n *number) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	if json.Unmarshal(value, (*float64)(n)) != nil || value.Kind() != jsontext.KindNumber {
		return mustBe("a number")
	}
	return nil
}

func (n *count) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	if err != nil {
		return err
	}
	if json.Unmarshal(value, (*int)(n)) != nil || value.Kind() != jsontext.KindNumber {
		return mustBe("a whole number")
	}
	return nil
}

// mustBe returns the fault of a value, with what it must be.
type mustBe string

func (m mustBe) Error() string { return "must be " + string(m) }

// invalid is a fault of the input. Another attempt would fail, too.
type invalid struct{ field, message string }

func (e *invalid) Error() string {
	if e.field == "" {
		return "input: " + e.message
	}
	return e.field + ": " + e.message
}

func invalidf(field, format string, args ...any) error {
	return &invalid{field, fmt.Sprintf(format, args...)}
}

// readInput reads r to its end and checks it. A fault is an *invalid, which names the
// field.
func readInput(r io.Reader) (*input, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	if len(data) > maxInput {
		return nil, invalidf("", "is longer than %d bytes", maxInput)
	}
	return decode(data)
}

func decode(data []byte) (*input, error) {
	var in input
	if err := json.Unmarshal(data, &in, json.RejectUnknownMembers(true)); err != nil {
		return nil, explain(err)
	}
	return &in, in.check()
}

// explain says in words where a document has a fault.
func explain(err error) error {
	var semantic *json.SemanticError
	var asked mustBe
	if !errors.As(err, &semantic) {
		return invalidf("", "is not one JSON value: %v", err)
	}
	field := fieldName(semantic.JSONPointer)
	switch {
	case errors.Is(err, json.ErrUnknownName):
		return invalidf(field, "is not known")
	case errors.As(err, &asked):
		return invalidf(field, "%v", asked)
	case semantic.Err != nil:
		return invalidf(field, "cannot be taken: %v", semantic.Err)
	default:
		return invalidf(field, "a JSON %v is not what is wanted here", semantic.JSONKind)
	}
}

// fieldName converts a pointer such as /series/values/3 to series.values[3].
func fieldName(p jsontext.Pointer) string {
	var b strings.Builder
	for token := range p.Tokens() {
		switch {
		case token != "" && strings.Trim(token, "0123456789") == "":
			b.WriteString("[" + token + "]")
		case b.Len() > 0:
			b.WriteString("." + token)
		default:
			b.WriteString(token)
		}
	}
	return b.String()
}

func (in *input) check() error {
	if err := in.Series.check(); err != nil {
		return err
	}
	if err := in.checkSeasons(); err != nil {
		return err
	}
	if in.Horizon < 1 || in.Horizon > maxHorizon {
		return invalidf("horizon", "must be from 1 to %d", maxHorizon)
	}
	end := in.Series.at(len(in.Series.Values) + int(in.Horizon))
	if end.Year() > 9999 {
		return invalidf("horizon", "reaches beyond the year 9999")
	}
	return nil
}

func (s *observed) check() error {
	var err error
	if s.start, err = time.Parse(time.RFC3339, s.Start); err != nil {
		return invalidf("series.start", "must be a time such as 2000-06-05T00:00:00+01:00")
	}
	if s.start.Year() < 1 {
		return invalidf("series.start", "must be from the year 1 on")
	}
	if s.Interval < 1 || s.Interval > maxInterval {
		return invalidf("series.interval_s", "must be from 1 to %d seconds", maxInterval)
	}
	if len(s.Unit) > maxUnit || strings.ContainsFunc(s.Unit, unicode.IsControl) {
		return invalidf("series.unit", "must be at most %d bytes without control characters", maxUnit)
	}
	if len(s.Values) > maxValues {
		return invalidf("series.values", "has %d values, at most %d are taken", len(s.Values), maxValues)
	}
	for i, v := range s.Values {
		if math.Abs(float64(v)) > maxValue {
			return invalidf(fmt.Sprintf("series.values[%d]", i), "must be between %g and %g", -maxValue, maxValue)
		}
	}
	return nil
}

func (in *input) checkSeasons() error {
	s := in.Seasons
	if len(s) < 1 || len(s) > 2 {
		return invalidf("seasons", "must name one or two seasons, as numbers of values: [48,336]")
	}
	for i, season := range s {
		if season < 2 || season > maxSeason {
			return invalidf(fmt.Sprintf("seasons[%d]", i), "must be from 2 to %d values", maxSeason)
		}
	}
	if len(s) == 2 && (s[1] <= s[0] || s[1]%s[0] != 0) {
		return invalidf("seasons[1]", "must be a multiple of the shorter season, %d", s[0])
	}
	if n, least := len(in.Series.Values), 2*int(s[len(s)-1]); n < least {
		return invalidf("series.values", "has %d values, at least two of the longest season, %d, are needed", n, least)
	}
	return nil
}

// at returns the time of value i, counted from 0.
func (s *observed) at(i int) time.Time {
	days := int64(i) * int64(s.Interval) / 86400
	rest := int64(i) * int64(s.Interval) % 86400
	// Step by days in UTC, because a Duration holds only 292 years.
	return s.start.UTC().AddDate(0, 0, int(days)).Add(time.Duration(rest) * time.Second).In(s.start.Location())
}

func (in *input) values() []float64 {
	out := make([]float64, len(in.Series.Values))
	for i, v := range in.Series.Values {
		out[i] = float64(v)
	}
	return out
}

func (in *input) seasons() []int {
	out := make([]int, len(in.Seasons))
	for i, s := range in.Seasons {
		out[i] = int(s)
	}
	return out
}
