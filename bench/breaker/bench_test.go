package breaker

import (
	"context"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafehttp"

	"github.com/sambatech/chassis/actors/breaker"
)

func serial(fn func(context.Context) error) func(b *testing.B, call do) {
	return func(b *testing.B, call do) {
		ctx := context.Background()
		for b.Loop() {
			_ = call(ctx, fn)
		}
	}
}

func parallel(fn func(context.Context) error) func(b *testing.B, call do) {
	return func(b *testing.B, call do) {
		b.RunParallel(func(pb *testing.PB) {
			ctx := context.Background()
			for pb.Next() {
				_ = call(ctx, fn)
			}
		})
	}
}

func BenchmarkSuccess(b *testing.B)         { forEach(b, config{failLimit: 10}, serial(succeed)) }
func BenchmarkSuccessParallel(b *testing.B) { forEach(b, config{failLimit: 10}, parallel(succeed)) }
func BenchmarkRefusal(b *testing.B)         { forEach(b, config{failLimit: 10, open: true}, serial(succeed)) }
func BenchmarkRefusalParallel(b *testing.B) {
	forEach(b, config{failLimit: 10, open: true}, parallel(succeed))
}
func BenchmarkFailure(b *testing.B) { forEach(b, config{failLimit: math.MaxInt32}, serial(fail)) }
func BenchmarkFailureParallel(b *testing.B) {
	forEach(b, config{failLimit: math.MaxInt32}, parallel(fail))
}

// BenchmarkMixed has one failure in ten calls.
func BenchmarkMixed(b *testing.B) {
	n := 0
	forEach(b, config{failLimit: 1000}, serial(func(context.Context) error {
		if n++; n%10 == 0 {
			return errService
		}
		return nil
	}))
}

// BenchmarkDirect calls Do, and gobreaker's Execute, as a user does, without
// the closure of the comparison above; and the same with a value, with a failure
// rate as trip policy, as a permit, beside an open path, and by a route.
func BenchmarkDirect(b *testing.B) {
	ours := newOurs(b, breaker.Settings{})
	ctx := context.Background()
	b.Run("success/ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = ours.Do(ctx, "/v1/a/b/c", succeed)
		}
	})
	b.Run("limited/ours", func(b *testing.B) {
		limited := newOurs(b, breaker.Settings{}, breaker.WithLimit(breaker.Fixed(100)))
		b.ReportAllocs()
		for b.Loop() {
			_ = limited.Do(ctx, "/v1/a/b/c", succeed)
		}
	})
	b.Run("limited-adaptive/ours", func(b *testing.B) {
		limited := newOurs(b, breaker.Settings{}, breaker.WithLimit(breaker.Adaptive{}))
		b.ReportAllocs()
		for b.Loop() {
			_ = limited.Do(ctx, "/v1/a/b/c", succeed)
		}
	})
	b.Run("success/limit", func(b *testing.B) {
		l := newLimit(false)
		for b.Loop() {
			_ = l.do(ctx, succeed)
		}
	})
	b.Run("success/limit-defer", func(b *testing.B) {
		l := newLimit(false)
		for b.Loop() {
			_ = l.guarded(ctx, succeed)
		}
	})
	b.Run("parallel/ours", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = ours.Do(ctx, "/v1/a/b/c", succeed)
			}
		})
	})
	b.Run("parallel/limit", func(b *testing.B) {
		l := newLimit(false)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_ = l.do(ctx, succeed)
			}
		})
	})
	b.Run("execute/ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = breaker.Execute(ctx, ours, "/v1/a/b/c", func(context.Context) (int, error) { return 1, nil })
		}
	})
	b.Run("permit/ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			p, _ := ours.Acquire("/v1/a/b/c")
			p.Settle(breaker.Success)
		}
	})
	b.Run("rate/ours", func(b *testing.B) {
		rated := newOurs(b, breaker.Settings{Trip: "rate"})
		b.ReportAllocs()
		for b.Loop() {
			_ = rated.Do(ctx, "/v1/a/b/c", succeed)
		}
	})
	b.Run("other-path-open/ours", func(b *testing.B) {
		other := newOurs(b, breaker.Settings{})
		if err := other.ForceOpen("/v2", 0); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			_ = other.Do(ctx, "/v1/a/b/c", succeed)
		}
	})
	b.Run("refusal/ours", func(b *testing.B) {
		open := newOurs(b, breaker.Settings{})
		if err := open.ForceOpen("", 0); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			_ = open.Do(ctx, "/v1/a/b/c", succeed)
		}
	})
	b.Run("refusal-path/ours", func(b *testing.B) {
		open := newOurs(b, breaker.Settings{})
		if err := open.ForceOpen("/v1/a/b/c", 0); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			_ = open.Do(ctx, "/v1/a/b/c", succeed)
		}
	})
	tripped := newOurs(b, breaker.Settings{ClosedFailLimit: 2, OpenTimeout: time.Hour, OpenMax: time.Hour})
	for range 2 { // the path opens, its parents do not
		_ = tripped.Do(ctx, "/v1/a/b/c", fail)
		_ = tripped.Do(ctx, "/v1/a/b", succeed)
	}
	if tripped.StateOf("/v1/a/b/c") != breaker.Open || tripped.StateOf("/v1/a/b") != breaker.Closed {
		b.Fatal("/v1/a/b/c is not open, or not alone")
	}
	b.Run("refusal-path-tripped/ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = tripped.Do(ctx, "/v1/a/b/c", succeed)
		}
	})
	b.Run("refusal-route/ours", func(b *testing.B) {
		route := tripped.Route("/v1/a/b/c")
		b.ReportAllocs()
		for b.Loop() {
			_ = route.Do(ctx, succeed)
		}
	})
	b.Run("other-route-open/ours", func(b *testing.B) {
		route := tripped.Route("/v1/a/b/d")
		b.ReportAllocs()
		for b.Loop() {
			_ = route.Do(ctx, succeed)
		}
	})
	b.Run("other-path-tripped/ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = tripped.Do(ctx, "/v1/a/b/d", succeed)
		}
	})
	b.Run("success/gobreaker", func(b *testing.B) {
		peer := newGobreaker(config{failLimit: 10})
		b.ReportAllocs()
		for b.Loop() {
			_, _ = peer.Execute(func() (struct{}, error) { return struct{}{}, succeed(ctx) })
		}
	})
	b.Run("parallel/gobreaker", func(b *testing.B) {
		peer := newGobreaker(config{failLimit: 10})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				_, _ = peer.Execute(func() (struct{}, error) { return struct{}{}, succeed(ctx) })
			}
		})
	})
}

// stub answers at once.
type stub struct{ res http.Response }

func (s *stub) RoundTrip(*http.Request) (*http.Response, error) {
	res := s.res
	return &res, nil
}

// oneRead is a body of one read.
type oneRead struct{ done bool }

func (o *oneRead) Read(p []byte) (int, error) {
	if o.done {
		return 0, io.EOF
	}
	o.done = true
	return 1, nil
}
func (o *oneRead) Close() error { return nil }

// bodyStub answers with a body to be read.
type bodyStub struct{}

func (bodyStub) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: &oneRead{}, ContentLength: -1}, nil
}

// BenchmarkTransport is a round trip over a stub, a path of four segments: the
// response has no body, or one that is read to its end.
func BenchmarkTransport(b *testing.B) {
	bases := []struct {
		name string
		base http.RoundTripper
	}{{"nobody", &stub{http.Response{StatusCode: 200, Body: http.NoBody}}}, {"body", bodyStub{}}}
	for _, base := range bases {
		transports := []struct {
			name string
			make func(b *testing.B) http.RoundTripper
		}{
			{"ours", func(b *testing.B) http.RoundTripper { return newOurs(b, breaker.Settings{}).Transport(base.base) }},
			{"failsafe", func(b *testing.B) http.RoundTripper {
				return failsafehttp.NewRoundTripper(base.base, newFailsafeHTTP())
			}},
			{"limit", func(b *testing.B) http.RoundTripper { return base.base }},
			{"copy", func(b *testing.B) http.RoundTripper { return copying{base.base} }},
		}
		for _, tr := range transports {
			b.Run(base.name+"/"+tr.name, func(b *testing.B) {
				rt := tr.make(b)
				req, err := http.NewRequest("GET", "http://mail.internal/v1/a/b/c", nil)
				if err != nil {
					b.Fatal(err)
				}
				var p [64]byte
				b.ReportAllocs()
				for b.Loop() {
					res, err := rt.RoundTrip(req)
					if err != nil {
						b.Fatal(err)
					}
					if res.Body != http.NoBody {
						for err == nil {
							_, err = res.Body.Read(p[:])
						}
						_ = res.Body.Close()
					}
				}
			})
		}
	}
}

// BenchmarkTransportDeadline is the round trip without a body, for a caller
// whose own deadline is nearer than request_timeout.
func BenchmarkTransportDeadline(b *testing.B) {
	rt := newOurs(b, breaker.Settings{RequestTimeout: time.Hour}).Transport(&stub{http.Response{StatusCode: 200, Body: http.NoBody}})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://mail.internal/v1/a/b/c", nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := rt.RoundTrip(req); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func newFailsafeHTTP() circuitbreaker.CircuitBreaker[*http.Response] {
	return circuitbreaker.NewBuilder[*http.Response]().WithFailureThreshold(10).WithDelay(time.Hour).Build()
}
