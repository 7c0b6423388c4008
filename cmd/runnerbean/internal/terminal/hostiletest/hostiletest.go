// Package hostiletest makes values with strings that could control a terminal.
package hostiletest

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Text is a string that a job, a program or another node may send. It has escape
// sequences in both encodings, a carriage return, backspaces, a bidirectional override,
// an HTML tag, and a very long line.
var Text = "\x1b]0;owned\x07\x1b[2J\u009b31m\r\b\b\u202egnp.exe\u2066\u200b<script>alert(1)</script>" + strings.Repeat("x", 10<<10)

// fill puts a value into every field and hostile text into every string.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(Text)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			text, _ := json.Marshal(Text)
			v.SetBytes(text)
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0))
		fill(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Now().Add(-time.Hour).UTC()))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(Text))
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint32:
		v.SetUint(7)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// Filled returns a T in which every string is hostile.
func Filled[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem())
	return v
}

// Obeyed returns the characters in text that could control a terminal.
func Obeyed(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return r
		}
		return -1
	}, text)
}
