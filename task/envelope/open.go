package envelope

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/sambatech/chassis/task"
)

// Letter is a sealed body, and the message that it came with.
type Letter struct {
	Task    string
	ExecID  string
	Body    []byte
	Attempt int // the number of the try, from 1; longer waits follow later ones
	// Opens reports whether Task is the on_fail task of another one. Nil: of none.
	Opens func(other string) bool
	// Any opens the body whatever message it came with: for a person who looks at it.
	Any bool
}

// Pauses before the next try.
const (
	awayWait  = 10 * time.Second // the store or the key service is away
	keyWait   = 10 * time.Second // the key is not known, doubled up to keyWaits
	keyWaits  = 2 * time.Minute
	maxShifts = 5
)

// Open takes the arguments out of their envelope. Its errors are [*task.UnopenedError]:
//
//   - a store or a key service that is away or hangs: the task waits, for as long as it takes
//   - a key that is not known here: the task waits on the queue for a process that has it,
//     for [Config].Patience, and then becomes a dead letter
//   - an object that is gone, and an envelope that is broken, was cut off, was changed, or
//     is that of another message: a dead letter now
//
// A dead letter has its envelope, so it can be sent back when the key is there again.
func (e *Envelope) Open(ctx context.Context, l Letter) ([]byte, error) {
	s, err := decode(l.Body)
	if err == nil && !l.Any {
		err = s.Header.belongs(l)
	}
	if err != nil {
		return nil, &task.UnopenedError{Err: err, Final: true}
	}
	data, err := e.data(ctx, s)
	if err == nil {
		data, err = e.decrypt(ctx, &s.Header, data)
	}
	if err == nil {
		data, err = e.decompress(&s.Header, data)
	}
	if err != nil {
		return nil, e.unopened(err, l.Attempt)
	}
	return data, nil
}

// unopened says what follows from an error.
func (e *Envelope) unopened(err error, attempt int) error {
	switch {
	case errors.Is(err, ErrBroken), errors.Is(err, ErrNoObject):
		return &task.UnopenedError{Err: err, Final: true}
	case errors.Is(err, ErrUnknownKey):
		wait := min(keyWait<<min(max(attempt-1, 0), maxShifts), keyWaits)
		return &task.UnopenedError{Err: err, Wait: wait, Within: e.cfg.Patience, Elsewhere: true}
	}
	return &task.UnopenedError{Err: err, Wait: awayWait}
}

// belongs returns an error unless the envelope is that of the message, or of one that the
// task is the on_fail task of, which has an exec_id of its own.
func (h *header) belongs(l Letter) error {
	switch {
	case h.Task == l.Task && h.ExecID == l.ExecID:
		return nil
	case h.Task == l.Task:
		return fmt.Errorf("%w: it was made for the exec_id %q, and the message has %q", ErrBroken, clip(h.ExecID),
			clip(l.ExecID))
	case l.Opens != nil && l.Opens(h.Task):
		return nil
	}
	return fmt.Errorf("%w: it was made for the task %q, and the message is of %q. If that is its on_fail task, name "+
		"the other with task.Opens", ErrBroken, clip(h.Task), clip(l.Task))
}

// clip keeps a foreign text short in an error.
func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}

// data returns what the message or its object holds.
func (e *Envelope) data(ctx context.Context, s *sealed) ([]byte, error) {
	h := &s.Header
	if h.Object == "" {
		return s.Data, nil
	}
	if e.cfg.Store == nil {
		return nil, fmt.Errorf("%w: they are in a store under %s, and this process has no store: give "+
			"envelope.Config its Store, or set tasks.claim_folder", ErrUnknownKey, h.Object)
	}
	data, err := ask(e.storing, ctx, func(ctx context.Context) ([]byte, error) {
		return e.cfg.Store.Get(ctx, h.Object, int64(e.cfg.MaxBytes)+1024)
	})
	switch sum := sha256.Sum256(data); {
	case errors.Is(err, ErrNoObject):
		return nil, fmt.Errorf("%w. It was deleted, or is in another store: objects have to be kept for longer than "+
			"messages and dead letters", err)
	case err != nil:
		return nil, fmt.Errorf("get %s from the store: %w", h.Object, err)
	case !bytes.Equal(sum[:], h.Sum):
		return nil, fmt.Errorf("%w: the object %s is not the one that was put there", ErrBroken, h.Object)
	}
	return data, nil
}

func (e *Envelope) decrypt(ctx context.Context, h *header, data []byte) ([]byte, error) {
	if h.Key == "" {
		return data, nil
	}
	if e.keys == nil {
		return nil, fmt.Errorf("%w: they are encrypted with the key %q, and this process has no keys: give "+
			"envelope.Config its Keys, or set tasks.key_file", ErrUnknownKey, clip(h.Key))
	}
	key, err := e.keys.opening(ctx, h.Key, h.DataKey)
	if err != nil {
		return nil, fmt.Errorf("unwrap the data key by %q: %w", clip(h.Key), err)
	}
	plain, err := key.aead.Open(nil, nil, data, h.additional())
	if err != nil {
		return nil, fmt.Errorf("%w: it was changed after it was encrypted, or belongs to another message", ErrBroken)
	}
	return plain, nil
}

func (e *Envelope) decompress(h *header, data []byte) ([]byte, error) {
	if h.Zstd == 0 {
		return data, nil
	}
	if h.Zstd > e.cfg.MaxBytes {
		return nil, fmt.Errorf("%w: it has %d bytes when it is decompressed, and may have %d: raise "+
			"envelope.Config.MaxBytes if that is right", ErrBroken, h.Zstd, e.cfg.MaxBytes)
	}
	plain, err := e.unzip.DecodeAll(data, nil)
	if err != nil || len(plain) != h.Zstd {
		return nil, fmt.Errorf("%w: it cannot be decompressed, or has another size than it says", ErrBroken)
	}
	return plain, nil
}

// Discard deletes the object of a body, if it has one: for data that must be gone now.
// Copies and dead letters of the message can then be opened no more.
func (e *Envelope) Discard(ctx context.Context, body []byte) error {
	s, err := decode(body)
	if err != nil || s.Header.Object == "" || e.cfg.Store == nil {
		return err
	}
	_, err = ask(e.storing, ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, e.cfg.Store.Delete(ctx, s.Header.Object)
	})
	return err
}
