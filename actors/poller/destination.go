package poller

import (
	"context"
	"slices"
	"time"
)

// leastMost is the smallest MaximumMessageSize that a queue can have (SQS API
// reference, SetQueueAttributes).
const leastMost = 1 << 10

// fitting returns those letters that the queue takes by their size, and
// refuses the others. It asks the queue for its limit, rarely, and only for
// letters that may be too large: where that may not be read, SQS's own counts.
func (b *outbox) fitting(ctx context.Context, url string, letters []*letter) []*letter {
	if !slices.ContainsFunc(letters, func(l *letter) bool { return l.bytes+l.out.Room > leastMost }) {
		return letters
	}
	most := b.limit(ctx, url)
	if most == 0 {
		return letters
	}
	var large []*letter
	fit := letters[:0:0]
	for _, l := range letters {
		if l.bytes+l.out.Room > most {
			large = append(large, l)
		} else {
			fit = append(fit, l)
		}
	}
	if len(large) == 0 {
		return letters
	}
	for _, l := range large {
		b.finish(l, Result{Err: &TooLargeError{Pool: b.pool, Bytes: l.bytes, Room: l.out.Room, Most: most}})
	}
	if len(fit) == 0 {
		b.release(letters, nil)
		return nil
	}
	if b.fifo {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.idle(large)
	}
	return fit
}

// limit returns how large a message the queue takes: its own attribute,
// which is read again once in lookEvery.
func (b *outbox) limit(ctx context.Context, url string) int {
	b.urlMu.Lock()
	most, due := b.most, time.Since(b.asked) >= lookEvery
	if due {
		b.asked = time.Now() // one asks, the others go by what is known
	}
	b.urlMu.Unlock()
	if !due {
		return most
	}
	a, err := ReadQueue(ctx, b.sender.client, url)
	if err != nil {
		return most
	}
	b.urlMu.Lock()
	defer b.urlMu.Unlock()
	b.most = a.MaxMessageSize
	return b.most
}

// resolve returns the queue's URL, looking it up the first time.
func (b *outbox) resolve(ctx context.Context) (string, error) {
	if url := b.known(); url != "" {
		return url, nil
	}
	select {
	case b.lookup <- struct{}{}:
		defer func() { <-b.lookup }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if url := b.known(); url != "" {
		return url, nil
	}
	url, err := EnsureQueue(ctx, b.sender.client, b.pool, b.sender.opts.ensure(b.pool))
	if err == nil {
		b.urlMu.Lock()
		b.url = url
		b.urlMu.Unlock()
	}
	return url, err
}

func (b *outbox) known() string {
	b.urlMu.Lock()
	defer b.urlMu.Unlock()
	return b.url
}

// forget drops the URL of a queue that did not work, so that it is looked up
// again; false for one that the caller gave itself.
func (b *outbox) forget(url string) bool {
	if url == b.pool {
		return false
	}
	b.urlMu.Lock()
	defer b.urlMu.Unlock()
	if b.url == url {
		b.url = ""
	}
	return true
}
