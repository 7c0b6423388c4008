package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxLists bounds what is served, in bytes of text.
	maxLists = 1 << 30
	// aptHelper writes lists as text in whichever way apt has compressed them.
	aptHelper = "/usr/lib/apt/apt-helper"
)

// list is one package list of this machine.
type list struct {
	name string // such as bookworm-main-amd64
	text []byte
}

// serve serves the lists of this machine until ctx ends.
func serve(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("catalog serve", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:8440", "address to listen on")
	folder := flags.String("lists", "/var/lib/apt/lists", "folder of the lists of apt")
	status := flags.String("status", "/var/lib/dpkg/status", "what is served where that folder has no lists")
	chunks := flags.Int("chunks", 40, "into how many parts the lists are cut, about")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *chunks < 1 || *chunks > maxParts/2 {
		return fmt.Errorf("chunks must be between 1 and %d", maxParts/2)
	}
	lists, source, err := readLists(ctx, *folder, *status)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	x, handler := handlerOf(lists, source, "http://"+listener.Addr().String(), *chunks)
	server := &http.Server{Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: 16 << 10}
	fmt.Fprintf(stdout, "The lists:      http://%s/index.json, %d parts of %s\n", listener.Addr(), len(x.Parts), source)
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// readLists reads the lists of apt, or the status file of dpkg if there are none, as in many
// containers. The source says which.
func readLists(ctx context.Context, folder, status string) (lists []list, source string, err error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*_Packages*"))
	if err != nil {
		return nil, "", err
	}
	left := int64(maxLists)
	for _, path := range paths {
		text, err := readList(ctx, path, left)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", path, err)
		}
		if left -= int64(len(text)); len(text) > 0 {
			lists = append(lists, list{listName(filepath.Base(path)), text})
		}
	}
	if len(lists) > 0 {
		return lists, "the package lists of apt (" + folder + ")", nil
	}
	text, err := readList(ctx, status, left)
	if err != nil {
		return nil, "", fmt.Errorf("%s has no package lists, and neither is there the list of installed packages: %w", folder, err)
	}
	return []list{{"installed", text}}, "the list of installed packages (" + status + "), since apt has no package lists", nil
}

// readList reads one list of at most limit bytes of text.
func readList(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var from io.Reader
	wait := func() error { return nil }
	if strings.HasSuffix(path, "_Packages") || filepath.Ext(path) == "" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	} else {
		command := exec.CommandContext(ctx, aptHelper, "cat-file", path)
		pipe, err := command.StdoutPipe()
		if err == nil {
			err = command.Start()
		}
		if err != nil {
			return nil, err
		}
		from, wait = pipe, command.Wait
	}
	text, err := io.ReadAll(io.LimitReader(from, limit+1))
	if int64(len(text)) > limit {
		cancel() // ends the command
		err = fmt.Errorf("the lists together are larger than %d bytes", maxLists)
	}
	return text, errors.Join(err, wait())
}

var notInID = regexp.MustCompile(`[^a-z0-9.]+`)

// listName makes a short name of that of a file of apt.
func listName(file string) string {
	name, _, _ := strings.Cut(file, "_Packages")
	if _, after, ok := strings.Cut(name, "_dists_"); ok {
		name = after
	}
	name = strings.Trim(notInID.ReplaceAllString(strings.ToLower(strings.Replace(name, "_binary-", "-", 1)), "-"), "-.")
	if name == "" {
		name = "list"
	}
	return name[:min(len(name), 48)]
}

// handlerOf cuts the lists into parts, and serves these and an index of them.
func handlerOf(lists []list, source, base string, chunks int) (index, http.Handler) {
	total := 0
	for _, l := range lists {
		total += len(l.text)
	}
	x, texts := index{Source: source, Parts: []part{}}, map[string][]byte{}
	names := map[string]int{}
	for _, l := range lists {
		if names[l.name]++; names[l.name] > 1 {
			l.name += "." + strconv.Itoa(names[l.name])
		}
		for i, text := range cut(l.text, min(maxPart/2, total/chunks+1)) {
			id := l.name + "-" + strconv.Itoa(i+1)
			sum := sha256.Sum256(text)
			texts[id] = text
			x.Parts = append(x.Parts, part{ID: id, URL: base + "/parts/" + id, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(text))})
		}
	}
	var document bytes.Buffer
	_ = encode(&document, x) // a Buffer takes all
	mux := http.NewServeMux()
	give := func(w http.ResponseWriter, r *http.Request, kind string, text []byte) {
		w.Header().Set("Content-Type", kind)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
	}
	mux.HandleFunc("GET /index.json", func(w http.ResponseWriter, r *http.Request) { give(w, r, "application/json", document.Bytes()) })
	mux.HandleFunc("GET /parts/{id}", func(w http.ResponseWriter, r *http.Request) {
		text, ok := texts[r.PathValue("id")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		give(w, r, "text/plain; charset=utf-8", text)
	})
	return x, mux
}

// cut cuts a list into parts of about size bytes that end at the end of a paragraph. A paragraph
// without end makes parts of maxPart bytes.
func cut(text []byte, size int) (parts [][]byte) {
	for len(text) > size {
		end := bytes.Index(text[size:], []byte("\n\n"))
		n := min(len(text), size+end+2, maxPart)
		if end < 0 {
			n = min(len(text), maxPart)
		}
		parts, text = append(parts, text[:n]), text[n:]
	}
	if len(text) > 0 {
		parts = append(parts, text)
	}
	return slices.Clip(parts)
}
