package worker

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/runnerbean/runnerbean/internal/store"
)

type memStore struct {
	mu sync.Mutex
	m  map[string][]byte
}

type memObject struct{ *bytes.Reader }

func (memObject) Close() error { return nil }

func (s *memStore) Create(_ context.Context, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.m[key]; ok {
		return store.ErrExists
	}
	s.m[key] = bytes.Clone(data)
	return nil
}

func (s *memStore) CreateFrom(ctx context.Context, key string, r io.Reader) (int64, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return 0, err
	}
	return int64(len(data)), s.Create(ctx, key, data)
}

func (s *memStore) Replace(_ context.Context, key string, data []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[key] = bytes.Clone(data)
	return nil
}

func (s *memStore) Open(_ context.Context, key string) (*store.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, ok := s.m[key]
	if !ok {
		return nil, store.ErrNotExist
	}
	return &store.Object{ReadSeekCloser: memObject{bytes.NewReader(data)}, Size: int64(len(data))}, nil
}
func (s *memStore) Close() error { return nil }
