// Package clientfaults tests package jobs as a whole: a hundred goroutines enqueue through
// two real beanstalkd servers while connections, servers and contexts end at random, and
// a real node runs what arrives. Then every outcome that was reported is compared with
// what happened. It has only tests. "make client-faults" runs them for half an hour.
package clientfaults
