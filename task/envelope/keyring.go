package envelope

import (
	"bufio"
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"sync"
	"time"
)

// KeyRing is [Keys] of local keys: the first wraps data keys, all of them unwrap.
type KeyRing struct {
	path string // read again for new keys; empty: the keys do not change

	mu    sync.RWMutex
	first string
	keys  map[string]cipher.AEAD
	read  time.Time // of the last look at the file
}

// Key is one key of a ring.
type Key struct {
	ID     string // letters, digits and . _ : / -, at most 64
	Secret []byte // 32 random bytes
}

var keyID = regexp.MustCompile(`^[A-Za-z0-9._:/-]{1,64}$`)

// NewKeyRing returns a ring of keys. The first encrypts.
func NewKeyRing(keys ...Key) (*KeyRing, error) {
	r := &KeyRing{keys: map[string]cipher.AEAD{}}
	if len(keys) == 0 {
		return nil, fmt.Errorf("envelope: the key ring is empty: give it a key")
	}
	for i, k := range keys {
		switch {
		case !keyID.MatchString(k.ID):
			return nil, fmt.Errorf("envelope: the id of key %d is not 1 to 64 letters, digits and . _ : / -", i+1)
		case len(k.Secret) != 32:
			return nil, fmt.Errorf("envelope: key %q has %d bytes: it must have 32 random ones", k.ID, len(k.Secret))
		case r.keys[k.ID] != nil:
			return nil, fmt.Errorf("envelope: there are two keys %q: give the new one another id", k.ID)
		}
		block, err := aes.NewCipher(k.Secret)
		if err != nil {
			return nil, err
		}
		if r.keys[k.ID], err = cipher.NewGCMWithRandomNonce(block); err != nil {
			return nil, err
		}
	}
	r.first = keys[0].ID
	return r, nil
}

// OpenKeyFile returns the ring of a file. Each line is the id of a key, a space and its 32
// bytes in Base64; the first encrypts. "#" begins a comment.
//
//	2026-11 Kx3w…=    # openssl rand -base64 32
//	2026-05 9Qd0…=
//
// The file is read again for a key that is not known, and before each new data key: so keys
// are added and changed while the service runs. A file that cannot be read then changes
// nothing. To change the key, add the new one as the second line everywhere, then put it
// first, and remove the old one when no message and no dead letter has it any more.
func OpenKeyFile(path string) (*KeyRing, error) {
	r, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	r.path, r.read = path, time.Now()
	return r, nil
}

func readKeyFile(path string) (*KeyRing, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("envelope: read the key file: %w", err)
	}
	var keys []Key
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line, _, _ := bytes.Cut(lines.Bytes(), []byte("#"))
		fields := bytes.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 2 { // the line itself may be a secret
			return nil, fmt.Errorf("envelope: key file %s, line %d: want an id, a space and 32 bytes in Base64",
				path, n)
		}
		secret, err := base64.StdEncoding.DecodeString(string(fields[1]))
		if err != nil {
			return nil, fmt.Errorf("envelope: key file %s, line %d: the key is not Base64", path, n)
		}
		keys = append(keys, Key{ID: string(fields[0]), Secret: secret})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("envelope: key file %s: %w", path, err)
	}
	r, err := NewKeyRing(keys...)
	if err != nil {
		return nil, fmt.Errorf("%w (key file %s)", err, path)
	}
	return r, nil
}

// lookEvery bounds how often a key that is not known makes the ring read its file.
const lookEvery = time.Second

// look reads the file again, unless that has just been.
func (r *KeyRing) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if since := now.Sub(r.read); r.path == "" || since >= 0 && since < lookEvery {
		return
	}
	r.read = now
	if fresh, err := readKeyFile(r.path); err == nil {
		r.first, r.keys = fresh.first, fresh.keys
	}
}

func (r *KeyRing) key(id string) (string, cipher.AEAD) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if id == "" {
		id = r.first
	}
	return id, r.keys[id]
}

// GenerateDataKey implements [Keys].
func (r *KeyRing) GenerateDataKey(context.Context) (DataKey, error) {
	r.look()
	id, wrapping := r.key("")
	plain := make([]byte, 32)
	_, _ = rand.Read(plain) // it never fails
	return DataKey{Key: id, Plain: plain, Wrapped: wrapping.Seal(nil, nil, plain, wrapText(id))}, nil
}

// Decrypt implements [Keys].
func (r *KeyRing) Decrypt(_ context.Context, id string, wrapped []byte) ([]byte, error) {
	_, wrapping := r.key(id)
	if wrapping == nil {
		r.look()
		_, wrapping = r.key(id)
	}
	if id == "" || wrapping == nil {
		return nil, fmt.Errorf("%w: %q is not in the key ring", ErrUnknownKey, id)
	}
	plain, err := wrapping.Open(nil, nil, wrapped, wrapText(id))
	if err != nil {
		return nil, fmt.Errorf("%w: its data key was not wrapped by the key %q that it names", ErrBroken, id)
	}
	return plain, nil
}

func wrapText(id string) []byte { return []byte("chassis data key 1 " + id) }
