package ledger

import "time"

// watch tells Config.Observe of an operation that ends; it is deferred.
func (l *Ledger) watch(op string, began time.Time, err *error) {
	if l.observe != nil {
		l.observe(op, time.Since(began), *err)
	}
}
