package fleet

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"github.com/sambatech/chassis/settings"
)

// Times of the joiner.
const (
	joinAlone  = 250 * time.Millisecond // between two tries of a member that has found none
	joinEvery  = time.Second            // and of one that misses some
	lookupEach = 5 * time.Second        // between two look-ups of names
	joinAtOnce = 3                      // seeds that are tried at once, of those that are missing
)

func secret(s string) settings.Secret[string] { return settings.NewSecret(s) }

func newLookup() func(context.Context, string) ([]string, error) {
	return net.DefaultResolver.LookupHost
}

// join looks for the seeds that are no members, over and over: the halves of a fleet
// that was parted do not find each other without.
func (f *Fleet) join(ctx context.Context) {
	var known []string
	var at time.Time
	for n := 0; ; n++ {
		if at.IsZero() || time.Since(at) >= lookupEach || len(known) == 0 {
			if found := f.resolve(ctx); len(found) > 0 || at.IsZero() {
				known = found
			}
			at = time.Now()
		}
		have := *f.addrs.Load()
		missing := slices.DeleteFunc(slices.Clone(known), func(a string) bool { return have[a] || a == f.net.addr })
		rand.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
		if len(missing) > joinAtOnce {
			missing = missing[:joinAtOnce]
		}
		for _, a := range missing {
			if ctx.Err() != nil {
				return
			}
			if _, err := f.net.list.Join([]string{a}); err != nil {
				f.log.Debug("a seed could not be joined", "seed", a, "error", err)
			}
		}
		wait := joinEvery
		if len(have) == 0 && n < 40 {
			wait = joinAlone
		}
		wait += rand.N(wait / 4)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// resolve returns the addresses of all seeds, ip:port.
func (f *Fleet) resolve(ctx context.Context) (addrs []string) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	for _, seed := range f.settings.Seeds {
		host, port, err := splitSeed(seed)
		if err != nil {
			continue
		}
		if net.ParseIP(host) != nil {
			addrs = append(addrs, net.JoinHostPort(host, port))
			continue
		}
		found, err := f.lookup(ctx, host)
		if err != nil {
			f.log.Debug("a seed has no address", "seed", host, "error", err)
			continue
		}
		for _, a := range found {
			addrs = append(addrs, net.JoinHostPort(a, port))
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}
