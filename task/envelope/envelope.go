package envelope

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"

	"github.com/sambatech/chassis/task"
)

// The defaults of a [Config].
const (
	DefaultCompressFrom = 1 << 10
	DefaultClaimFrom    = 240 << 10 // queues that were made before 2025 take 256 KiB with the attributes
	DefaultMaxBytes     = 32 << 20
	DefaultTimeout      = 10 * time.Second
	DefaultPatience     = time.Hour
	DefaultKeep         = 28 * day // 14 days on a queue, and 14 more as a dead letter
	DefaultKeyAge       = 5 * time.Minute
)

// Config is what an [Envelope] is made of. Zero fields have their defaults.
type Config struct {
	Keys  Keys  // nil: it encrypts and decrypts nothing
	Store Store // nil: it keeps nothing

	CompressFrom int           // bytes of arguments from which they are compressed, default 1 KiB
	ClaimFrom    int           // bytes of a body from which it is kept in the store, default 240 KiB
	MaxBytes     int           // of arguments, compressed or not, default 32 MiB
	Timeout      time.Duration // of a question to the keys or the store, default 10 s
	Patience     time.Duration // for which a task waits for a key that is not known, default 1 h
	Keep         time.Duration // for which an object is kept after the time to run at, default 28 days
	KeyAge       time.Duration // after which a data key is made or asked for again, default 5 min
	MostKeys     int           // data keys that are kept for opening, default 1000
}

// Envelope seals and opens the arguments of tasks. Make it with [New].
type Envelope struct {
	cfg     Config
	keys    *cache
	storing *caller
	zip     *zstd.Encoder
	unzip   *zstd.Decoder
}

// New returns an envelope by cfg.
func New(cfg Config) (*Envelope, error) {
	fill := func(n *int, by int) {
		if *n == 0 {
			*n = by
		}
	}
	span := func(d *time.Duration, by time.Duration) {
		if *d == 0 {
			*d = by
		}
	}
	fill(&cfg.CompressFrom, DefaultCompressFrom)
	fill(&cfg.ClaimFrom, DefaultClaimFrom)
	fill(&cfg.MaxBytes, DefaultMaxBytes)
	fill(&cfg.MostKeys, 1000)
	span(&cfg.Timeout, DefaultTimeout)
	span(&cfg.Patience, DefaultPatience)
	span(&cfg.Keep, DefaultKeep)
	span(&cfg.KeyAge, DefaultKeyAge)
	if min(cfg.CompressFrom, cfg.ClaimFrom, cfg.MaxBytes, cfg.MostKeys) < 0 ||
		min(cfg.Timeout, cfg.Patience, cfg.Keep, cfg.KeyAge) < 0 {
		return nil, errors.New("envelope: a number of the Config is below zero")
	}
	if cfg.ClaimFrom > task.MaxSize-task.Room {
		return nil, fmt.Errorf("envelope: ClaimFrom is %d: no queue takes a body of more than %d", cfg.ClaimFrom,
			task.MaxSize-task.Room)
	}
	e := &Envelope{cfg: cfg, storing: newCaller("the store", cfg.Timeout)}
	if cfg.Keys != nil {
		e.keys = &cache{keys: cfg.Keys, age: cfg.KeyAge, most: cfg.MostKeys, open: map[string]*answer{},
			calling: newCaller("the key service", cfg.Timeout)}
	}
	var err error
	if e.zip, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(2),
		zstd.WithLowerEncoderMem(true)); err != nil {
		return nil, err
	}
	// Its memory is bounded, whatever a frame says of itself.
	if e.unzip, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(2),
		zstd.WithDecoderMaxMemory(uint64(max(cfg.MaxBytes, 1))), zstd.WithDecoderLowmem(true)); err != nil {
		return nil, err
	}
	return e, nil
}

// Can reports whether all of these parts can be done.
func (e *Envelope) Can(parts task.Sealing) bool {
	return (parts&task.Encrypt == 0 || e.keys != nil) && (parts&task.ClaimCheck == 0 || e.cfg.Store != nil)
}

// Wants implements [task.Sealer]: it adds nothing to what a definition says.
func (e *Envelope) Wants(string, string) task.Sealing { return 0 }

// Seal implements [task.Sealer].
func (e *Envelope) Seal(ctx context.Context, p task.Parcel) (body, mark string, err error) {
	if len(p.Body) > e.cfg.MaxBytes {
		return "", "", fmt.Errorf("the arguments have %d bytes, and may have %d: put the data elsewhere and send "+
			"where it is", len(p.Body), e.cfg.MaxBytes)
	}
	s := sealed{Header: header{Version: version, Task: p.Task, ExecID: p.ExecID}}
	h, data, smaller := &s.Header, []byte(p.Body), false
	if p.Do&task.Compress != 0 && len(data) >= e.cfg.CompressFrom {
		if packed := e.zip.EncodeAll(data, nil); len(packed) < len(data) {
			h.Zstd, data, smaller = len(data), packed, true
		}
	}
	if p.Do&task.Encrypt != 0 {
		if e.keys == nil {
			return "", "", errors.New("there is no key to encrypt with: give envelope.Config its Keys, or set " +
				"tasks.key_file")
		}
		key, err := e.keys.sealing(ctx)
		if err != nil {
			return "", "", fmt.Errorf("a data key: %w", err)
		}
		h.Key, h.DataKey = key.Key, key.Wrapped
		data = key.aead.Seal(nil, nil, data, h.additional())
	}
	switch size := len(p.Body); {
	case p.Do&task.ClaimCheck != 0 && bodySize(h, len(data), size) >= e.cfg.ClaimFrom:
		return e.put(ctx, &s, data, p.When)
	case h.Key == "" && (!smaller || bodySize(h, len(data), size) >= size):
		return "", "", nil // as it is
	}
	s.Data = data
	h.describe()
	body, err = s.encode()
	return body, h.mark(), err
}

// bodySize is the size of the body that holds the data itself.
func bodySize(h *header, sealed, plain int) int {
	if h.Key == "" && h.Zstd == 0 {
		return plain
	}
	return sealed*4/3 + 1024 // at most: with the note and a key of a key service
}

// put keeps data in the store, and returns the body that says where it is.
func (e *Envelope) put(ctx context.Context, s *sealed, data []byte, when time.Time) (body, mark string, err error) {
	if e.cfg.Store == nil {
		return "", "", fmt.Errorf("the arguments need %d bytes, too many for the queue, and there is no store for "+
			"them: give envelope.Config its Store, or set tasks.claim_folder", len(data))
	}
	h, sum := &s.Header, sha256.Sum256(data)
	h.Object = classFor(max(time.Until(when), 0)+e.cfg.Keep) + "/" + uuid.NewString()
	h.Sum = sum[:]
	if _, err := ask(e.storing, ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, e.cfg.Store.Put(ctx, h.Object, data)
	}); err != nil {
		return "", "", fmt.Errorf("put %d bytes into the store: %w", len(data), err)
	}
	h.describe()
	body, err = s.encode()
	return body, h.mark(), err
}
