package settings

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/timespan"
)

// checkTags refuses values that the tags choices, min, max and also do not allow.
func (s *Settings) checkTags() error {
	var errs []error
	for field, value := range fields(s) {
		wanted := wantedChoice(field.Tag, value)
		if _, bounded := field.Tag.Lookup("min"); bounded {
			wanted = wantedNumber(field, value)
		}
		if wanted != "" {
			errs = append(errs, fmt.Errorf("%s%s must be %s", EnvPrefix, field.Tag.Get("env"), wanted))
		}
	}
	return errors.Join(errs...)
}

// wantedChoice returns the allowed values where value is not one of them. No value is
// always allowed.
func wantedChoice(tag reflect.StructTag, value reflect.Value) string {
	choices, ok := tag.Lookup("choices")
	if !ok || value.String() == "" || slices.Contains(strings.Split(choices, ","), value.String()) {
		return ""
	}
	return strings.ReplaceAll(choices, ",", " or ")
}

// wantedNumber returns the bounds where value is outside of them.
func wantedNumber(field reflect.StructField, value reflect.Value) string {
	low, high, also := field.Tag.Get("min"), field.Tag.Get("max"), field.Tag.Get("also")
	n := number(value)
	most := int64(math.MaxInt64)
	if high != "" {
		most = parseNumber(field.Type, high)
	}
	special, _, _ := strings.Cut(also, " ")
	if n >= parseNumber(field.Type, low) && n <= most || also != "" && n == parseNumber(field.Type, special) {
		return ""
	}
	wanted := "at least " + low
	if high != "" {
		wanted = "between " + low + " and " + high
	}
	if also != "" {
		wanted += ", or " + also
	}
	return wanted
}

func number(value reflect.Value) int64 {
	if value.CanUint() {
		return int64(min(value.Uint(), math.MaxInt64))
	}
	return value.Int()
}

// parseNumber reads a number of a tag as a setting of this type is read. It panics on
// a tag that cannot be read.
func parseNumber(t reflect.Type, text string) int64 {
	value := reflect.New(t)
	switch v := value.Interface().(type) {
	case *time.Duration:
		d, err := timespan.Parse(text)
		must(err)
		return int64(d)
	case encoding.TextUnmarshaler:
		must(v.UnmarshalText([]byte(text)))
		return number(value.Elem())
	}
	n, err := strconv.ParseInt(text, 10, 64)
	must(err)
	return n
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
