package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/breaker"
)

func TestOutlookThroughAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed []string
		b, err := breaker.Spawn(newSystem(t), "https://mail.internal", breaker.Settings{ClosedFailLimit: 3, OpenTimeout: 10 * time.Second,
			HalfProbeLimit: 2, HalfSuccessLimit: 2, Ramp: 10 * time.Second},
			breaker.WithWitness(func(_ context.Context, service, path string) { failed = append(failed, service+path) }),
			breaker.WithPacing(func(ctx context.Context, service string) bool { return ctx.Value(paced{}) == service }),
			breaker.WithRandom(func() float64 { return 0.99 })) // the ramp admits calls at its end alone
		if err != nil {
			t.Fatal(err)
		}
		defer b.Stop(context.Background())
		call := func(ctx context.Context, err error) error {
			return b.Do(ctx, "/v1/send", func(context.Context) error { return err })
		}
		ctx := context.WithValue(t.Context(), paced{}, "https://mail.internal")
		expect := func(when string, path string, want breaker.Outlook) {
			t.Helper()
			want.Slots = b.Outlook(path).Slots
			if got := b.Outlook(path); got != want {
				t.Errorf("%s: the outlook is %+v, want %+v", when, got, want)
			}
		}
		expect("at first", "/v1/send", breaker.Outlook{})
		for range 3 {
			_ = call(ctx, errors.New("down"))
		}
		if len(failed) != 3 || failed[0] != "https://mail.internal/v1/send" {
			t.Errorf("the witness saw %v", failed)
		}
		time.Sleep(4 * time.Second)
		expect("open", "/v1/send/again", breaker.Outlook{State: breaker.Open, Entry: "/v1/send", After: 6 * time.Second})
		expect("open", "/v2", breaker.Outlook{State: breaker.Open, After: 6 * time.Second})
		var open *breaker.OpenError
		if err := call(ctx, nil); !errors.As(err, &open) || open.RefusedBy() != "https://mail.internal" || len(failed) != 3 {
			t.Errorf("refused by %v; the witness saw %v", err, failed)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		expect("half-open", "/v1/send", breaker.Outlook{State: breaker.HalfOpen, Entry: "/v1/send", Probes: 2})
		before := b.Outlook("").Slots
		one, err := b.Acquire("/v1/send")
		if err != nil {
			t.Fatal(err)
		}
		expect("a probe is under way", "/v1/send", breaker.Outlook{State: breaker.HalfOpen, Entry: "/v1/send", Probes: 2, Taken: 1})
		two, err := b.Acquire("/v1/send")
		if err != nil {
			t.Fatal(err)
		}
		if o := b.Outlook("/v1/send"); o.Taken != 2 || o.After <= 0 || o.Slots != before+2 {
			t.Errorf("both probes are under way: %+v", o)
		}
		one.Done(ctx, nil)
		two.Done(ctx, nil)
		time.Sleep(5 * time.Second)
		expect("in the ramp", "/v1/send", breaker.Outlook{State: breaker.HalfOpen, Entry: "/v1/send", Share: 0.5})
		if err := call(t.Context(), nil); !errors.Is(err, breaker.ErrOpen) {
			t.Errorf("a call that the ramp leaves out: %v", err)
		}
		if err := call(ctx, nil); err != nil {
			t.Errorf("a call that its caller paces: %v", err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		expect("closed", "/v1/send", breaker.Outlook{})
		if err := b.ForceOpen("/v1", time.Minute); err != nil {
			t.Fatal(err)
		}
		expect("forced open", "/v1/send", breaker.Outlook{State: breaker.ForcedOpen, Entry: "/v1", After: time.Minute})
		expect("forced open elsewhere", "/v2", breaker.Outlook{})
	})
}

type paced struct{}

func TestOutlookOptionsRefuseNil(t *testing.T) {
	for name, o := range map[string]breaker.Option{"WithWitness": breaker.WithWitness(nil), "WithPacing": breaker.WithPacing(nil)} {
		if _, err := breaker.Spawn(newSystem(t), "https://mail.internal", breaker.Settings{}, o); err == nil {
			t.Errorf("%s(nil) was taken", name)
		}
	}
}
