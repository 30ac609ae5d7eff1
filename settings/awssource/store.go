package awssource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/appconfigdata"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"github.com/sambatech/chassis/settings"
)

// Settings are how a [Store] reads. A zero is the default.
type Settings struct {
	// Interval is the time between two readings of parameters and secrets, give or take a tenth; by default 1 min, at
	// least 5 s. With the quota of SSM, 40 requests a second in an account and region, 2400 processes that read up to
	// ten parameters use it up.
	Interval time.Duration

	// Timeout is the time of one reading of each service, the SDK's retries included; by default 15 s.
	Timeout time.Duration
}

// Defaults and limits of [Settings].
const (
	DefaultInterval = time.Minute
	MinInterval     = 5 * time.Second
	DefaultTimeout  = 15 * time.Second
)

// calm is the time after a reading within which Refresh does not read again, and a failure is not tried again.
const calm = 5 * time.Second

// Store is the [settings.Store] of AWS.
type Store struct {
	settings  Settings
	region    string
	ssm       *ssm.Client
	secrets   *secretsmanager.Client
	appconfig *appconfigdata.Client
	random    func() float64 // in [0, 1)

	reading chan struct{} // holds a value while AWS is asked
	woken   chan struct{} // has a value when the goroutine of Watch is to look

	mu    sync.Mutex // guards what follows
	items map[address]*item
	last  time.Time // end of the last reading of parameters and secrets
	dirty bool      // something has changed that Watch has not said
}

// item is what is read at one address. Its session is of who reads; the rest is guarded by Store.mu.
type item struct {
	of      address
	found   settings.Found // the last good one
	good    bool           // found is set
	err     error          // of the last reading
	tried   time.Time      // end of the last reading; zero: never
	due     time.Time      // AppConfig: not before
	stamp   time.Time      // of a parameter's last change
	session session
}

// New returns a store over an AWS configuration, as config.LoadDefaultConfig makes it. It makes no request.
func New(cfg aws.Config, s Settings) *Store {
	s.Interval = max(cmp.Or(s.Interval, DefaultInterval), MinInterval)
	if s.Timeout <= 0 {
		s.Timeout = DefaultTimeout
	}
	cfg.Credentials = withErrors(cfg.Credentials)
	return &Store{settings: s, region: cfg.Region, random: rand.Float64, items: map[address]*item{},
		ssm: ssm.NewFromConfig(cfg), secrets: secretsmanager.NewFromConfig(cfg),
		appconfig: appconfigdata.NewFromConfig(cfg),
		reading:   make(chan struct{}, 1), woken: make(chan struct{}, 1)}
}

// Schemes lists ssm, secretsmanager and appconfig.
func (s *Store) Schemes() []string { return []string{schemeSSM, schemeSecrets, schemeAppConfig} }

// Read implements [settings.Store]. What was read before is not read again.
func (s *Store) Read(ctx context.Context, addresses []string) []settings.Found {
	out := make([]settings.Found, len(addresses))
	wanted := make([]address, len(addresses))
	var missing []*item
	s.mu.Lock()
	for i, text := range addresses {
		a, err := parse(text)
		if out[i].Err = err; err != nil {
			continue
		}
		wanted[i] = a
		it := s.items[a.whole()]
		if it == nil {
			it = &item{of: a.whole()}
			s.items[it.of] = it
		}
		if !it.good && (it.tried.IsZero() || time.Since(it.tried) > calm) && !slices.Contains(missing, it) {
			missing = append(missing, it)
		}
	}
	s.mu.Unlock()
	if len(missing) > 0 {
		if err := s.read(ctx, missing); err != nil {
			for i := range out {
				out[i].Err = cmp.Or(out[i].Err, err)
			}
			return out
		}
		s.wake()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range wanted {
		if out[i].Err != nil {
			continue
		}
		it := s.items[a.whole()]
		if !it.good {
			out[i].Err = it.err
			continue
		}
		out[i] = pick(it.found, a)
	}
	return out
}

// read asks AWS for items, once nothing else does. Its error is that of ctx.
func (s *Store) read(ctx context.Context, items []*item) error {
	err := s.lock(ctx)
	if err == nil {
		defer s.unlock()
		s.readLocked(ctx, items)
	}
	return err
}

func (s *Store) lock(ctx context.Context) error {
	select {
	case s.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for another reading: %w", ctx.Err())
	}
}

func (s *Store) unlock() { <-s.reading }

// readLocked asks the services at the same time, each for what is its.
func (s *Store) readLocked(ctx context.Context, items []*item) {
	var all sync.WaitGroup
	for _, kind := range []struct {
		of   func(address) bool
		read func(context.Context, []*item)
	}{
		{func(a address) bool { return a.scheme == schemeSSM && !a.path }, s.readParameters},
		{func(a address) bool { return a.scheme == schemeSSM && a.path }, s.readPaths},
		{func(a address) bool { return a.scheme == schemeSecrets }, s.readSecrets},
		{func(a address) bool { return a.scheme == schemeAppConfig }, s.readConfigurations},
	} {
		var own []*item
		for _, it := range items {
			if kind.of(it.of) {
				own = append(own, it)
			}
		}
		if len(own) > 0 {
			all.Go(func() {
				ctx, cancel := context.WithTimeoutCause(ctx, s.settings.Timeout, errLate)
				defer cancel()
				kind.read(ctx, own)
			})
		}
	}
	all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(items, func(it *item) bool { return it.of.scheme != schemeAppConfig }) {
		s.last = time.Now()
	}
}

// have notes what an item is now.
func (s *Store) have(it *item, found settings.Found) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found.Address = it.of.String()
	again := !it.tried.IsZero()
	it.err, it.tried = nil, time.Now()
	if it.good && reflect.DeepEqual(found, it.found) {
		return
	}
	s.dirty = s.dirty || again
	it.found, it.good = found, true
}

// same notes that an item is what it was.
func (s *Store) same(it *item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it.err, it.tried = nil, time.Now()
}

// lack notes why an item could not be read. What it was stays.
func (s *Store) lack(it *item, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !errors.Is(err, context.Canceled) || it.err == nil {
		it.err = err
	}
	it.tried = time.Now()
}

// Watch implements [settings.Store].
func (s *Store) Watch(ctx context.Context, notify func(error)) {
	said := ""
	next := time.Now().Add(s.wait())
	for ctx.Err() == nil {
		changed, err := s.report()
		if changed || err == nil && said != "" {
			notify(nil)
			said = ""
		}
		if err != nil && err.Error() != said {
			said = err.Error()
			notify(err)
		}
		now := time.Now()
		turn := !now.Before(next)
		if turn {
			next = now.Add(s.wait())
		}
		due, soonest := s.due(now, turn)
		if len(due) > 0 {
			_ = s.read(ctx, due) // its error is that ctx has ended
			continue
		}
		if soonest.IsZero() || next.Before(soonest) {
			soonest = next
		}
		timer := time.NewTimer(soonest.Sub(now))
		select {
		case <-ctx.Done():
		case <-s.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// wait is the time to the next reading.
func (s *Store) wait() time.Duration {
	return time.Duration(float64(s.settings.Interval) * (0.9 + 0.2*s.random()))
}

func (s *Store) wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// report returns whether something has changed since the last report, and what cannot be read now.
func (s *Store) report() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, s.dirty = s.dirty, false
	return changed, s.failure()
}

// due lists what is to be read now: parameters and secrets if their time has come, configurations each at its own
// time. soonest is when the next configuration is due, or zero.
func (s *Store) due(now time.Time, others bool) (due []*item, soonest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.items {
		switch {
		case it.of.scheme != schemeAppConfig:
			if others {
				due = append(due, it)
			}
		case !now.Before(it.due):
			due = append(due, it)
		case soonest.IsZero() || it.due.Before(soonest):
			soonest = it.due
		}
	}
	return due, soonest
}

// Refresh reads the parameters and secrets now, not at the next interval, and returns what could not be read. It is
// for a service that sees its password refused: a rotation may have changed it. What has changed is in force soon
// after; wait for the Changed of its handle. Within 5 s of another reading Refresh reads nothing, so that a thousand
// refused requests cost one reading.
func (s *Store) Refresh(ctx context.Context) error {
	if err := s.lock(ctx); err != nil {
		return fmt.Errorf("awssource: refresh: %w", err)
	}
	defer s.unlock()
	s.mu.Lock()
	rests := time.Since(s.last) < calm
	s.mu.Unlock()
	if !rests {
		items, _ := s.due(time.Time{}, true)
		s.readLocked(ctx, items)
		s.wake()
	}
	return s.Check(ctx)
}

// Check returns why something cannot be read, or nil: what it was is in force meanwhile. It makes no request. It is
// for System.Check, for information.
func (s *Store) Check(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure()
}

// failure joins the errors of the last readings, under the lock.
func (s *Store) failure() error {
	var errs []error
	for _, it := range s.items {
		switch {
		case it.err == nil:
		case it.good:
			errs = append(errs, fmt.Errorf("%s %s stays in force: %w", it.of, it.found.Version, it.err))
		default:
			errs = append(errs, fmt.Errorf("%s: %w", it.of, it.err))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	if more := len(errs) - maxErrors; more > 0 {
		errs = append(errs[:maxErrors:maxErrors], fmt.Errorf("and %d more", more))
	}
	return errors.Join(errs...)
}

// maxErrors is the number of addresses that a failure names.
const maxErrors = 5
