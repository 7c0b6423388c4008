package jobs_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/jobs"
)

func TestNewID(t *testing.T) {
	t.Parallel()
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = jobs.NewID()
		if !jobs.ValidID(ids[i]) {
			t.Fatalf("%s is not valid", ids[i])
		}
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 1000 {
		t.Error("ids do not ascend")
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		anID: true, "4bf92f35-77b3-4da6-a3ce-929d0e0e4736": true, uuid.NewString(): true,
		"":                                      false,
		"x":                                     false,
		anID + "0":                              false,
		"019aae04-9f80-1c61-8d2e-5b1c7a90e1f2":  false, // version 1
		"019aae04-9f80-7c61-cd2e-5b1c7a90e1f2":  false, // variant
		"019AAE04-9f80-7c61-8d2e-5b1c7a90e1f2":  false,
		"019aae04f9f80-7c61-8d2e-5b1c7a90e1f2":  false,
		"019aae0g-9f80-7c61-8d2e-5b1c7a90e1f2":  false,
		"../aae04-9f80-7c61-8d2e-5b1c7a90e1f2":  false,
		"{19aae04-9f80-7c61-8d2e-5b1c7a90e1f2}": false,
		"00000000-0000-0000-0000-000000000000":  false,
	} {
		if got := jobs.ValidID(id); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
}
