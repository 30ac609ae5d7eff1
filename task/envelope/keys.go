package envelope

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Keys makes and unwraps data keys, as AWS KMS does by GenerateDataKey and Decrypt. Both
// may be called from several goroutines, and must end with ctx.
type Keys interface {
	// GenerateDataKey returns a new data key, plain and wrapped by the key that encrypts now.
	GenerateDataKey(ctx context.Context) (DataKey, error)
	// Decrypt unwraps a data key. Its error is [ErrUnknownKey] where the key is not there or
	// may not be used, [ErrBroken] where the wrapped key is not one of it, and any other
	// where the answer is not known.
	Decrypt(ctx context.Context, key string, wrapped []byte) (plain []byte, err error)
}

// DataKey is a key that arguments are encrypted with.
type DataKey struct {
	Key     string // id of the key that has wrapped it, printable, at most 256 bytes
	Plain   []byte // 32 bytes
	Wrapped []byte
}

// Errors of [Keys] and [Store].
var (
	ErrUnknownKey = errors.New("envelope: the key is not known here")
	ErrBroken     = errors.New("envelope: not what was sealed")
	ErrNoObject   = errors.New("envelope: the object is not there")
)

// dataKey is a data key in use.
type dataKey struct {
	DataKey
	aead  cipher.AEAD
	until time.Time
	used  int // of the one that encrypts
}

func newDataKey(k DataKey, until time.Time) (*dataKey, error) {
	if len(k.Plain) != 32 {
		return nil, fmt.Errorf("the data key has %d bytes: it must have 32", len(k.Plain))
	}
	block, err := aes.NewCipher(k.Plain)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &dataKey{DataKey: k, aead: aead, until: until}, nil
}

// maxUses is the number of messages of one data key. With random nonces of 96 bits the
// chance of a repetition stays below 2^-56 (NIST SP 800-38D allows 2^-32).
const maxUses = 1 << 20

// cache keeps data keys, so that most messages cost no question to the key service.
type cache struct {
	keys    Keys
	age     time.Duration // of a key in it
	most    int           // keys that it unwrapped
	calling *caller

	mu      sync.Mutex // never held over a question
	current *dataKey
	making  *answer            // GenerateDataKey is under way; nil: it is not
	open    map[string]*answer // by wrapped key
}

// answer is one question to the key service, for all who wait for it.
type answer struct {
	done chan struct{}
	key  *dataKey
	err  error
}

// sealing returns the key to encrypt with.
func (c *cache) sealing(ctx context.Context) (*dataKey, error) {
	c.mu.Lock()
	if k := c.current; k != nil && k.used < maxUses && time.Now().Before(k.until) {
		k.used++
		c.mu.Unlock()
		return k, nil
	}
	a := c.making
	if a == nil {
		a = &answer{done: make(chan struct{})}
		c.making = a
		go c.make(a)
	}
	c.mu.Unlock()
	return a.wait(ctx)
}

func (c *cache) make(a *answer) {
	made, err := ask(c.calling, context.Background(), func(ctx context.Context) (DataKey, error) {
		return c.keys.GenerateDataKey(ctx)
	})
	if err == nil && (made.Key == "" || len(made.Key) > maxKeyID || len(made.Wrapped) == 0) {
		err = errors.New("the data key has no id, one of more than 256 bytes, or no wrapped form")
	}
	if err == nil {
		a.key, err = newDataKey(made, time.Now().Add(c.age))
	}
	a.err = err
	c.mu.Lock()
	if c.making = nil; err == nil {
		c.current = a.key
	}
	c.mu.Unlock()
	close(a.done)
}

// opening returns a key to decrypt with.
func (c *cache) opening(ctx context.Context, id string, wrapped []byte) (*dataKey, error) {
	name := id + "\x00" + string(wrapped)
	c.mu.Lock()
	a := c.open[name]
	if a != nil && a.over(time.Now()) {
		a = nil
	}
	if a == nil {
		if len(c.open) >= c.most {
			c.makeRoom(time.Now())
		}
		a = &answer{done: make(chan struct{})}
		c.open[name] = a
		go c.unwrap(a, name, id, wrapped)
	}
	c.mu.Unlock()
	return a.wait(ctx)
}

// over reports whether a is an old answer. One that has not come is not old.
func (a *answer) over(now time.Time) bool {
	select {
	case <-a.done:
		return a.key == nil || !now.Before(a.key.until)
	default:
		return false
	}
}

// makeRoom forgets old answers, and else any. The caller holds the lock.
func (c *cache) makeRoom(now time.Time) {
	for name, a := range c.open {
		if a.over(now) {
			delete(c.open, name)
		}
	}
	for name := range c.open {
		if len(c.open) < c.most {
			return
		}
		delete(c.open, name)
	}
}

func (c *cache) unwrap(a *answer, name, id string, wrapped []byte) {
	plain, err := ask(c.calling, context.Background(), func(ctx context.Context) ([]byte, error) {
		return c.keys.Decrypt(ctx, id, wrapped)
	})
	if err == nil {
		a.key, err = newDataKey(DataKey{Key: id, Plain: plain, Wrapped: wrapped}, time.Now().Add(c.age))
	}
	if a.err = err; err != nil { // the next message asks again
		c.mu.Lock()
		if c.open[name] == a {
			delete(c.open, name)
		}
		c.mu.Unlock()
	}
	close(a.done)
}

func (a *answer) wait(ctx context.Context) (*dataKey, error) {
	select {
	case <-a.done:
		return a.key, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
