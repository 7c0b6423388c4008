package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
)

// hostile is what a job, a program or another node may put into any string:
// escape sequences in both writings, a carriage return, backspaces, a bidi
// override, a tag, and a very long line.
var hostile = "\x1b]0;owned\x07\x1b[2J\u009b31m\r\b\b\u202egnp.exe\u2066\u200b<script>alert(1)</script>" + strings.Repeat("x", 10<<10)

// fillHostile puts a value into every field and hostile text into every string.
func fillHostile(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillHostile(v.Elem())
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			text, _ := json.Marshal(hostile)
			v.SetBytes(text)
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fillHostile(v.Index(0))
		fillHostile(v.Index(1))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fillHostile(key)
		fillHostile(value)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Now().Add(-time.Hour).UTC()))
			return
		}
		for i := range v.NumField() {
			fillHostile(v.Field(i))
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(hostile))
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

// filled is a T full of hostile strings, as it comes over the wire.
func filled[T any]() T {
	var v T
	fillHostile(reflect.ValueOf(&v).Elem())
	return v
}

const hostileID = "019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"

// hostileNode answers every request of the command line with hostile strings.
func hostileNode(t *testing.T) string {
	result := filled[jobs.Result]()
	result.ID, result.State = hostileID, jobs.Failed
	page := filled[api.Page]()
	page.Jobs[0].State, page.Jobs[1].State = jobs.Running, jobs.Failed
	details := filled[api.Details]()
	answers := map[string]any{
		"/api/v1/jobs": page, "/api/v1/jobs/" + hostileID: details, "/api/v1/nodes": filled[api.Nodes](),
		"/api/v1/overview": filled[api.Overview](), "/api/v1/drain": filled[api.Drains](), "/" + hostileID: result,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/log") {
			_, _ = io.WriteString(w, strings.ReplaceAll(hostile, "x", "y")+"\n")
			return
		}
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/cancel") {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			problem := filled[jobs.Problem]()
			problem.Status = http.StatusConflict
			_ = json.NewEncoder(w).Encode(problem)
			return
		}
		_ = json.NewEncoder(w).Encode(answers[r.URL.Path])
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// obeyed are the characters in text that a terminal would not simply show.
func obeyed(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return r
		}
		return -1
	}, text)
}

func TestHostileStringsAreHarmlessInTheTerminal(t *testing.T) {
	t.Setenv("RUNNERBEAN_URL", hostileNode(t))
	for _, args := range [][]string{
		{"list"},
		{"list", "--json"},
		{"show", hostileID},
		{"show", hostileID, "--json"},
		{"logs", hostileID},
		{"watch", hostileID},
		{"watch", hostileID, "--json"},
		{"nodes", "--all"},
		{"nodes", "--json"},
		{"stats"},
		{"stats", "--json"},
		{"drain"},
		{"drain", hostile, "--off"},
		{"drain", "worker1", "--json"},
		{"cancel", hostileID},
		{"retry", hostileID},
		{"pause", hostile},
		{"resume", hostile},
		{"slots", hostile, "1"},
		{hostile},
		{"show", hostile},
	} {
		name := strings.Join(args, " ")
		var stdout, stderr bytes.Buffer
		err := run(context.Background(), context.Background(), args, strings.NewReader(""), &stdout, &stderr)
		said := stdout.String() + stderr.String()
		if err != nil {
			said += errorLine(err)
		}
		if bad := obeyed(said); bad != "" {
			t.Errorf("%.40q: a terminal would obey %q", name, bad)
		}
		if said == "" {
			t.Errorf("%.40q prints nothing", name)
		}
	}
}

func TestHostileStringsAreHarmlessInTop(t *testing.T) {
	data := topData{overview: filled[api.Overview](), jobs: filled[api.Page]().Jobs}
	for name, m := range map[string]*topModel{
		"shown":      {data: data, loaded: true},
		"nodes":      {data: data, loaded: true, nodes: true, chosen: hostile},
		"asked":      {data: data, loaded: true, ask: &topOrder{verb: "cancel", target: hostile}},
		"asked node": {data: data, loaded: true, ask: &topOrder{verb: "pause", target: hostile, node: true}},
		"an error":   {data: data, loaded: true, err: errors.New(hostile), base: hostile},
		"at first":   {err: errors.New(hostile), base: hostile},
	} {
		m.width, m.height = 120, 40
		for _, line := range m.screen() {
			if n := ansi.StringWidth(line); n > 120 {
				t.Errorf("%s: a line has %d columns", name, n)
			}
			if bad := obeyed(colours.ReplaceAllString(line, "")); bad != "" {
				t.Errorf("%s: a terminal would obey %q in %.200q", name, bad, line)
			}
		}
	}
	m := newTopModel(topAPI{}, "")
	m.Update(topActed{err: errors.New(hostile)})
	if bad := obeyed(m.note); bad != "" {
		t.Errorf("a terminal would obey %q", bad)
	}
}
