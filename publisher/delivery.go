package publisher

import (
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

// EndDocument returns the document of a job that has ended without a result, as its
// result URL answers with it.
func EndDocument(rec ledger.Record) ([]byte, error) {
	return httpio.Marshal(readmodel.Summary(rec, rec.Finished))
}
