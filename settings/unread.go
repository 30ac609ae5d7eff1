package settings

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Unread is a [Store] that is not read: a reference to it is a value that is not known, and nothing is said against
// it. It is for a check of files without the service, where its stores are out of reach.
//
//	store := settings.NewUnread("ssm", "vault")
//	err := check(settings.File("prod.yaml"), settings.From(store))
//	fmt.Println("not read:", store.Addresses())
//
// Its methods are safe from several goroutines.
type Unread struct {
	schemes   []string
	mu        sync.Mutex
	addresses []string // those that were asked for, once each
}

// NewUnread returns a store of these schemes.
func NewUnread(schemes ...string) *Unread { return &Unread{schemes: slices.Clone(schemes)} }

// errUnread is its answer.
var errUnread = errors.New("not read")

// Schemes implements [Store].
func (u *Unread) Schemes() []string { return u.schemes }

// Read notes the addresses, and reads nothing.
func (u *Unread) Read(_ context.Context, addresses []string) []Found {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make([]Found, len(addresses))
	for i, a := range addresses {
		out[i].Err = errUnread
		if !slices.Contains(u.addresses, a) {
			u.addresses = append(u.addresses, a)
		}
	}
	return out
}

// Watch implements [Store]: nothing changes.
func (u *Unread) Watch(ctx context.Context, _ func(error)) { <-ctx.Done() }

// Addresses returns the references that were found.
func (u *Unread) Addresses() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.addresses)
}
