package testbed

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/chaos/check"
)

const (
	someAnswers = "WATCHING 1\r\nOK 12\r\n---\ndelete 5\r\nRESERVED 7 29\r\n" + `{"id":"a","program":"work.."}` + "\r\n" +
		"RESERVED 8 33\r\n" + `{"id":"b","result":{"url":"u.."}}` + "\r\nTIMED_OUT\r\n"
	someQuestions = "put 1 0 60 10\r\ndelete 7\r\n\r\nreserve-with-timeout 0\r\ndelete 8\r\ndelete 7\r\ndelete x\r\n"
)

func TestTalkFindsDeletions(t *testing.T) {
	t.Parallel()
	want := []check.Event{{What: check.Deleted, Job: "a", N: 7}}
	for size := 1; size <= len(someAnswers); size++ {
		talk := newDeletionTracker()
		feed(someAnswers, size, talk.received)
		// The first "delete 7" is the body of a put, and 8 is no message of a
		// run tube.
		if diff := cmp.Diff(want, feed(someQuestions, size, talk.sent)); diff != "" {
			t.Fatalf("in pieces of %d (-want +got):\n%s", size, diff)
		}
	}
}

// feed reads text in pieces and returns all events.
func feed(text string, size int, read func([]byte) []check.Event) (all []check.Event) {
	for len(text) > 0 {
		n := min(size, len(text))
		all = append(all, read([]byte(text[:n]))...)
		text = text[n:]
	}
	return all
}

func FuzzTalk(f *testing.F) {
	f.Add([]byte(someQuestions), []byte(someAnswers))
	f.Add([]byte("put 1 0 60 -1\r\n"), []byte("RESERVED 1 99999999999\r\nx"))
	f.Fuzz(func(t *testing.T, questions, answers []byte) {
		talk := newDeletionTracker()
		talk.received(answers)
		talk.sent(questions)
		if n := len(talk.questions.line) + len(talk.answers.line); n > 2*longestLine {
			t.Errorf("%d bytes of lines are kept", n)
		}
	})
}
