package eventlog

// Kinds of the events that the ledger writes.
const (
	KindAccepted        = "accepted"
	KindConflict        = "conflict" // a known id with another document
	KindFault           = "fault"    // the document has a fault
	KindReleased        = "released" // all its needs have succeeded
	KindRetrying        = "retrying"
	KindInterrupted     = "interrupted"
	KindLost            = "lost"
	KindExpired         = "expired"
	KindCancelRequested = "cancel-requested"
	KindCancelled       = "cancelled"
	KindRetried         = "retried" // by a person
	KindReset           = "reset"
	KindDeleted         = "deleted"
	KindDrained         = "drained"
	KindUndrained       = "undrained"
	KindPaused          = "paused"
	KindResumed         = "resumed"
	KindSlots           = "slots"
	KindForgotten       = "forgotten" // a node
	KindHookGivenUp     = "webhook-given-up"
	KindDeliveryGivenUp = "delivery-given-up"
	KindDeliveryOwnURL  = "delivery-own-url" // not delivered: the pool serves the URL
	KindResultMissing   = "result-missing"   // a success runs again whose result is gone
	KindStoreAccepted   = "store-accepted"
	KindUpgrade         = "upgrade"            // a node leaves for an upgrade of the ledger
	KindUpgraded        = "upgraded"           // the ledger
	KindCheckpoint      = "checkpoint-skipped" // it is broken or missing
	KindCheckpointAsked = "checkpoint-asked"
	KindCheckpointNone  = "checkpoint-refused" // what a program has saved is not kept, or it has saved nothing
	KindLoop            = "loop"               // it was ended for good, or makes no next job
	KindFailed          = "failed"
	KindSucceeded       = "succeeded"
)
