package bucket

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// ErrIgnoresConditions is returned by Open for a server that replaces an object which was to
// be created only if absent. A result could change there.
var ErrIgnoresConditions = errors.New("the server ignores If-None-Match, so that a result could be replaced: use a server that supports conditional writes")

// Open connects to the bucket. It tries a conditional write, and explains what fails. Keys
// come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, else from the file of the AWS tools,
// else from the machine's role. The caller closes the bucket.
func Open(ctx context.Context, l Location) (*Bucket, error) {
	b, err := Look(l)
	if err != nil {
		return nil, err
	}
	err = b.probe(ctx)
	if err == nil {
		err = b.CheckRules(ctx)
	}
	if err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// CheckRules returns an error if a lifecycle rule of the bucket deletes objects that are ours.
// A server without such rules, or one that does not show them to the key, has none.
func (b *Bucket) CheckRules(ctx context.Context) error {
	rules, err := b.client.GetBucketLifecycle(ctx, b.Location.Bucket)
	if err != nil {
		return nil
	}
	for _, r := range rules.Rules {
		filter := r.RuleFilter
		if !filter.Tag.IsEmpty() || len(filter.And.Tags) > 0 {
			continue // our objects have no tags
		}
		prefix := cmp.Or(filter.And.Prefix, filter.Prefix, r.Prefix)
		ours := strings.HasPrefix(prefix, b.Location.Prefix) || strings.HasPrefix(b.Location.Prefix, prefix)
		if deletes := !r.Expiration.IsDaysNull() || !r.Expiration.IsDateNull(); deletes && ours && r.Status == "Enabled" {
			return fmt.Errorf("%s: the lifecycle rule %.40q of the bucket deletes objects of the pool, which the ledger counts on: remove the rule, or set another prefix; RUNNERBEAN_KEEP says how long jobs are kept", b.Location, r.ID)
		}
	}
	return nil
}

// probe creates an object twice. The second time must fail.
func (b *Bucket) probe(ctx context.Context) error {
	key := "probe/" + rand.Text()
	if err := b.put(ctx, key, []byte("probe\n"), absent); err != nil {
		return b.Explain(err)
	}
	// A write of somebody else: the same write again counts as done.
	err := b.put(ctx, key, []byte("probe\n"), absent)
	if gone := b.Remove(ctx, key); gone != nil {
		return b.Explain(gone)
	}
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err == nil:
		return fmt.Errorf("%s: %w", b.Location, ErrIgnoresConditions)
	}
	return b.Explain(err)
}
