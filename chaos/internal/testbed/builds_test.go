package testbed

import (
	"strings"
	"testing"
)

func TestOldProgramIsRefusedWithoutItsCommit(t *testing.T) {
	t.Parallel()
	path, err := NewBuilds(t.TempDir()).Old(t.Context(), "0000000")
	if err == nil || !strings.Contains(err.Error(), "does not have the commit") {
		t.Errorf("path %q, error %v", path, err)
	}
}

func TestDateOfDeletionIsWanted(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		`{"detail":"the job was deleted on 2026-11-22"}`: true,
		`{"detail":"the job was deleted"}`:               false,
		`deleted on 2026-11-22`:                          false,
	} {
		if wrong := checkGone([]byte(text)); (wrong == "") != ok {
			t.Errorf("%s: %q", text, wrong)
		}
	}
}
