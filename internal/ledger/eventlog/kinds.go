package eventlog

// The kinds of the events that the ledger writes by itself.
const (
	KindAccepted        = "accepted"
	KindConflict        = "conflict" // a known id came with another document
	KindFault           = "fault"    // the document has a fault
	KindReleased        = "released" // all that it waited for has succeeded
	KindRetrying        = "retrying"
	KindInterrupted     = "interrupted"
	KindLost            = "lost"
	KindExpired         = "expired"
	KindCancelRequested = "cancel-requested"
	KindCancelled       = "cancelled"
	KindRetried         = "retried" // by a person
	KindReset           = "reset"
	KindDrained         = "drained"
	KindUndrained       = "undrained"
	KindPaused          = "paused"
	KindResumed         = "resumed"
	KindSlots           = "slots"
	KindHookGivenUp     = "webhook-given-up"
	KindDeliveryGivenUp = "delivery-given-up"
	KindFailed          = "failed"
	KindSucceeded       = "succeeded"
)
