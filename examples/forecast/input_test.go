package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
)

const good = `{"series":{"start":"2026-11-22T00:00:00Z","interval_s":1800,"unit":"MW","values":[1,2,3,4,2,3.5,4,5]},"seasons":[2,4],"horizon":3}`

func TestFaultsNameTheField(t *testing.T) {
	t.Parallel()
	swap := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	tests := map[string]struct{ document, field string }{
		"empty":                  {"", ""},
		"not JSON":               {"series", ""},
		"cut off":                {good[:40], ""},
		"two values":             {good + "{}", ""},
		"twice the same name":    {swap(`"horizon":3`, `"horizon":3,"horizon":4`), ""},
		"bad UTF-8":              {swap("MW", "M\xff"), ""},
		"NaN":                    {swap("3.5", "NaN"), ""},
		"array":                  {"[]", ""},
		"nothing in it":          {"{}", "series.start"},
		"unknown":                {swap(`"horizon"`, `"horizont":1,"horizon"`), "horizont"},
		"unknown in series":      {swap(`"unit"`, `"units":1,"unit"`), "series.units"},
		"other case":             {swap(`"horizon"`, `"Horizon"`), "Horizon"},
		"start no time":          {swap("2026-11-22T00:00:00Z", "yesterday"), "series.start"},
		"start null":             {swap(`"2026-11-22T00:00:00Z"`, "null"), "series.start"},
		"start a number":         {swap(`"2026-11-22T00:00:00Z"`, "3"), "series.start"},
		"interval zero":          {swap("1800", "0"), "series.interval_s"},
		"interval null":          {swap("1800", "null"), "series.interval_s"},
		"interval a fraction":    {swap("1800", "0.5"), "series.interval_s"},
		"interval huge":          {swap("1800", "99999999999999999999"), "series.interval_s"},
		"unit long":              {swap("MW", strings.Repeat("M", 65)), "series.unit"},
		"unit with a line break": {swap("MW", `M\nW`), "series.unit"},
		"value null":             {swap("3.5", "null"), "series.values[5]"},
		"value a string":         {swap("3.5", `"3.5"`), "series.values[5]"},
		"value an array":         {swap("3.5", `[[[[]]]]`), "series.values[5]"},
		"value out of range":     {swap("3.5", "1e999"), "series.values[5]"},
		"value too large":        {swap("3.5", "-2e12"), "series.values[5]"},
		"values an object":       {swap("[1,2,3,4,2,3.5,4,5]", "{}"), "series.values"},
		"too few values":         {swap("1,2,", ""), "series.values"},
		"too many values":        {swap("1,2", strings.Repeat("1,", maxValues)+"2"), "series.values"},
		"no seasons":             {swap("[2,4]", "[]"), "seasons"},
		"three seasons":          {swap("[2,4]", "[2,4,8]"), "seasons"},
		"season of one":          {swap("[2,4]", "[1,4]"), "seasons[0]"},
		"season huge":            {swap("[2,4]", "[2,20002]"), "seasons[1]"},
		"no multiple":            {swap("[2,4]", "[2,3]"), "seasons[1]"},
		"longer first":           {swap("[2,4]", "[4,2]"), "seasons[1]"},
		"horizon zero":           {swap(`"horizon":3`, `"horizon":0`), "horizon"},
		"horizon missing":        {swap(`,"horizon":3`, ``), "horizon"},
		"horizon huge":           {swap(`"horizon":3`, `"horizon":10001`), "horizon"},
		"beyond the calendar":    {swap("2026-11", "9999-12"), "horizon"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "beyond the calendar" {
				test.document = strings.Replace(test.document, "1800", "31622400", 1)
			}
			var fault *invalid
			if _, err := decode([]byte(test.document)); !errors.As(err, &fault) {
				t.Fatalf("got %v, want a fault", err)
			}
			if fault.field != test.field {
				t.Errorf("fault is at %q, want %q: %v", fault.field, test.field, fault)
			}
			if strings.ContainsAny(fault.Error(), "\n\r") {
				t.Errorf("%q is more than a line", fault)
			}
		})
	}
}

func TestReadInputIsBounded(t *testing.T) {
	t.Parallel()
	in, err := readInput(strings.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]float64{1, 2, 3, 4, 2, 3.5, 4, 5}, in.values()); diff != "" {
		t.Error(diff)
	}
	var fault *invalid
	if _, err := readInput(bytes.NewReader(bytes.Repeat([]byte(" "), maxInput+1))); !errors.As(err, &fault) {
		t.Errorf("too long: got %v, want a fault", err)
	}
	if _, err := readInput(broken{}); err == nil || errors.As(err, &fault) {
		t.Errorf("broken pipe: got %v, want an error that is no fault of the input", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestTimesOfValues(t *testing.T) {
	t.Parallel()
	tests := []struct {
		start    string
		interval count
		i        int
		want     string
	}{
		{"2000-06-05T00:00:00+01:00", 1800, 48, "2000-06-06T00:00:00+01:00"},
		{"2000-06-05T23:30:00-09:30", 1800, 1, "2000-06-06T00:00:00-09:30"},
		{"0001-01-01T00:00:00Z", 31622400, 9000, "9019-09-02T00:00:00Z"},
	}
	for _, test := range tests {
		s := observed{Start: test.start, Interval: test.interval}
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
		if got := s.at(test.i).Format("2006-01-02T15:04:05Z07:00"); got != test.want {
			t.Errorf("value %d after %s: got %s, want %s", test.i, test.start, got, test.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(good))
	for _, s := range []string{"", "{}", `{"series":null}`, `{"seasons":[2,{}]}`, `[[[[`, `{"series":{"start":"2000-01-01T00:00:00Z","interval_s":1,"values":[0,0,0,0]},"seasons":[2],"horizon":1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in, err := decode(data)
		var fault *invalid
		if err != nil {
			if !errors.As(err, &fault) {
				t.Fatalf("%v is no fault of the input", err)
			}
			return
		}
		again, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(again)
		if err != nil {
			t.Fatalf("%s was taken, %s is not: %v", data, again, err)
		}
		if diff := cmp.Diff(fmt.Sprint(in), fmt.Sprint(back)); diff != "" {
			t.Error(diff)
		}
		if len(in.Series.Values) <= 64 && in.Horizon <= 64 {
			if _, err := forecast(in, &events{}); err != nil && !errors.As(err, &fault) {
				t.Fatal(err)
			}
		}
	})
}
