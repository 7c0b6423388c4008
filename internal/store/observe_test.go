package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got []string
	s.Observe(func(op string, took time.Duration, err error) {
		if took <= 0 {
			t.Errorf("%s took %s", op, took)
		}
		got = append(got, fmt.Sprint(op, " ", err != nil))
	})
	_ = s.Create(t.Context(), "a/b", []byte("1"))
	_ = s.Create(t.Context(), "a/b", []byte("2")) // exists
	_, _ = s.Open(t.Context(), "a/c")             // does not
	_ = s.Replace(t.Context(), "a/b", []byte("3"))
	_ = s.Create(t.Context(), "../b", nil)
	_ = s.Delete(t.Context(), "a/b")
	want := []string{"create false", "create false", "open false", "replace false", "create true", "delete false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
