package panics

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestCall(t *testing.T) {
	t.Parallel()
	if err := Call(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("an error became %v", err)
	}
	var list []int
	index := 5
	err := Call(func() error { list[index]++; return nil })
	var caught *Error
	if !errors.As(err, &caught) || !strings.Contains(caught.What, "index out of range [5]") {
		t.Fatalf("%v", err)
	}
	if first, _, _ := strings.Cut(caught.Stack, "\n"); !strings.Contains(first, "TestCall.func") || !strings.Contains(first, "panics_test.go:") {
		t.Errorf("the stack begins with %q", first)
	}
}

func TestThePanicsOfOthersDoNotShowData(t *testing.T) {
	t.Parallel()
	for _, v := range []any{"https://user:secret@example.org", errors.New("secret"), fmt.Errorf("secret"), []string{"secret"}} {
		caught := Catch(func() { panic(v) })
		if caught == nil || strings.Contains(caught.Error()+caught.Stack, "secret") {
			t.Errorf("%v: %v", v, caught)
		}
	}
	if caught := Catch(func() {}); caught != nil {
		t.Error(caught)
	}
}

func TestTheStackIsBounded(t *testing.T) {
	t.Parallel()
	var deep func(n int) int
	deep = func(n int) int {
		if n == 0 {
			panic("deep")
		}
		return deep(n-1) + 1
	}
	if caught := Catch(func() { deep(10_000) }); caught == nil || len(caught.Stack) > 4<<10 || strings.Count(caught.Stack, "\n") != maxFrames-1 {
		t.Errorf("%v", caught)
	}
}
