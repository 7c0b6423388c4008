// Package buckettest has an S3 server in memory for tests, with faults, and starts a real one.
package buckettest

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Name is the bucket that the servers have.
const Name = "results"

// Server is a server in memory. It does not check signatures.
type Server struct {
	URL string // of the bucket, for Parse
	// Fault is asked for each request what goes wrong; nil for nothing. It is set before
	// requests are made.
	Fault func(r *http.Request) Fault
	// Rules is the lifecycle configuration of the bucket, in XML; "" for none.
	Rules string
	// Careless servers ignore conditions.
	Careless bool

	mu      sync.Mutex
	objects map[string]object            // guarded
	uploads map[string]map[string][]byte // guarded; parts by upload and number
	meta    map[string]http.Header       // guarded; of uploads
	counts  map[string]int               // guarded; requests by method
}

// Fault is what goes wrong with one request.
type Fault struct {
	Status int    // answered in place of the true answer
	Code   string // of the answer
	Lost   bool   // the request is carried out, but its answer is not sent
	Cut    bool   // the connection ends in the middle of the answer
	Bare   bool   // the answer has no size
}

type object struct {
	data []byte
	meta http.Header
	tag  string
	at   time.Time
}

// Start starts a server, which ends with the test.
func Start(t testing.TB) *Server {
	s := &Server{objects: map[string]object{}, uploads: map[string]map[string][]byte{}, meta: map[string]http.Header{}, counts: map[string]int{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
	s.URL = fmt.Sprintf("s3://%s/pool?endpoint=%s", Name, server.URL)
	return s
}

// Requests returns how many requests of a method came.
func (s *Server) Requests(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[method]
}

// Keys returns the names of all objects, in order.
func (s *Server) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.objects))
}

// Uploads returns how many uploads were begun and neither completed nor aborted.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") || strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING") {
		body = unchunk(body)
	}
	s.mu.Lock()
	s.counts[r.Method]++
	s.mu.Unlock()
	f := Fault{}
	if s.Fault != nil {
		f = s.Fault(r)
	}
	if f.Status != 0 {
		fail(w, f.Status, f.Code)
		return
	}
	answer := httptest.NewRecorder()
	s.serve(answer, r, body)
	if f.Lost {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), answer.Header())
	if f.Cut && answer.Body.Len() > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(answer.Body.Len()))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if f.Bare {
		w.Header().Del("Content-Length")
	}
	w.WriteHeader(answer.Code)
	if f.Bare {
		_ = http.NewResponseController(w).Flush() // before net/http knows the size
	}
	_, _ = w.Write(answer.Body.Bytes())
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	query := r.URL.Query()
	upload := query.Get("uploadId")
	switch {
	case name != Name:
		fail(w, http.StatusNotFound, "NoSuchBucket")
	case query.Has("lifecycle") && s.Rules == "":
		fail(w, http.StatusNotFound, "NoSuchLifecycleConfiguration")
	case query.Has("lifecycle"):
		fmt.Fprint(w, s.Rules)
	case key == "" && r.Method == http.MethodGet:
		s.list(w, query.Get("prefix"), cmp.Or(query.Get("continuation-token"), query.Get("start-after")))
	case key == "" && r.Method == http.MethodPost:
		s.removeAll(w, body)
	case r.Method == http.MethodPost && upload == "":
		id := strconv.Itoa(len(s.meta) + 1)
		s.uploads[id], s.meta[id] = map[string][]byte{}, r.Header.Clone()
		fmt.Fprintf(w, "<InitiateMultipartUploadResult><UploadId>%s</UploadId></InitiateMultipartUploadResult>", id)
	case upload != "" && s.uploads[upload] == nil:
		fail(w, http.StatusNotFound, "NoSuchUpload")
	case r.Method == http.MethodPut && upload != "":
		s.uploads[upload][query.Get("partNumber")] = body
		w.Header().Set("ETag", tagOf(body))
	case r.Method == http.MethodPost:
		s.complete(w, r, key, upload, body)
	case r.Method == http.MethodDelete && upload != "":
		delete(s.uploads, upload)
	case r.Method == http.MethodPut:
		s.put(w, r, key, body, r.Header)
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		s.get(w, r, key)
	}
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, key string, body []byte, meta http.Header) bool {
	if _, is := s.objects[key]; is && r.Header.Get("If-None-Match") == "*" && !s.Careless {
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return false
	}
	s.objects[key] = object{data: body, meta: meta.Clone(), tag: tagOf(body), at: time.Now()}
	w.Header().Set("ETag", tagOf(body))
	return true
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, key string) {
	o, is := s.objects[key]
	if !is {
		fail(w, http.StatusNotFound, "NoSuchKey")
		return
	}
	for name, values := range o.meta {
		if strings.HasPrefix(name, "X-Amz-Meta-") {
			w.Header()[name] = values
		}
	}
	w.Header().Set("ETag", o.tag)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", o.at, bytes.NewReader(o.data))
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, key, upload string, body []byte) {
	var want struct {
		Part []struct{ PartNumber string }
	}
	if xml.Unmarshal(body, &want) != nil {
		fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	var data []byte
	for _, part := range want.Part {
		data = append(data, s.uploads[upload][part.PartNumber]...)
	}
	if s.put(w, r, key, data, s.meta[upload]) {
		delete(s.uploads, upload)
		fmt.Fprintf(w, "<CompleteMultipartUploadResult><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>", key, s.objects[key].tag)
	}
}

// perPage is small, so that tests see several pages.
const perPage = 3

func (s *Server) list(w http.ResponseWriter, prefix, after string) {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(s.objects)), func(k string) bool { return !strings.HasPrefix(k, prefix) || k <= after })
	more := len(keys) > perPage
	keys = keys[:min(len(keys), perPage)]
	fmt.Fprintf(w, "<ListBucketResult><IsTruncated>%t</IsTruncated>", more)
	if more {
		fmt.Fprintf(w, "<NextContinuationToken>%s</NextContinuationToken>", keys[len(keys)-1])
	}
	for _, k := range keys {
		fmt.Fprintf(w, "<Contents><Key>%s</Key><Size>%d</Size><LastModified>%s</LastModified></Contents>", k, len(s.objects[k].data), s.objects[k].at.UTC().Format(time.RFC3339))
	}
	fmt.Fprint(w, "</ListBucketResult>")
}

func (s *Server) removeAll(w http.ResponseWriter, body []byte) {
	var list struct {
		Object []struct{ Key string }
	}
	if xml.Unmarshal(body, &list) != nil {
		fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	fmt.Fprint(w, "<DeleteResult>")
	for _, o := range list.Object {
		delete(s.objects, o.Key)
		fmt.Fprintf(w, "<Deleted><Key>%s</Key></Deleted>", o.Key)
	}
	fmt.Fprint(w, "</DeleteResult>")
}

func tagOf(data []byte) string {
	sum := md5.Sum(data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
}

// unchunk takes the data out of a body that is sent in signed chunks.
func unchunk(body []byte) (data []byte) {
	r := bufio.NewReader(bytes.NewReader(body))
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return data
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil || n == 0 {
			return data
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(r, chunk); err != nil {
			return data
		}
		data = append(data, chunk[:n]...)
	}
}
