package jobs

import "errors"

const (
	// MaxDocument is the size in bytes of the largest job document that is
	// read.
	MaxDocument = 1 << 20
	// MaxQueued is the size in bytes of the largest document that beanstalkd
	// takes by default (its option -z). Larger inputs go by URL.
	MaxQueued = 65535
)

// Decode reads a job document strictly. Whatever is wrong with it is reported
// as a [*Fault].
func Decode(data []byte) (Job, error) {
	return Job{}, errors.New("jobs: Decode is not built yet")
}
