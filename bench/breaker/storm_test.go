package breaker

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/failsafehttp"

	"github.com/sambatech/chassis/actors/breaker"
)

// flaky answers after 5 ms, and half of the requests with 503.
type flaky struct{ requests, failures atomic.Int64 }

func (f *flaky) RoundTrip(req *http.Request) (*http.Response, error) {
	f.requests.Add(1)
	time.Sleep(5 * time.Millisecond) // of the bubble
	res := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("x")), ContentLength: 1, Header: http.Header{}, Request: req}
	if rand.Float64() < 0.5 {
		f.failures.Add(1)
		res.StatusCode = 503
	}
	return res, nil
}

const stormRetries = 10

// stormClients are those that meet the storm, all with ten retries, 50 ms to 2 s apart.
var stormClients = []struct {
	name string
	most float64 // times the calls that may reach the service
	make func(t *testing.T, base http.RoundTripper) http.RoundTripper
}{
	{"no retries", 1, func(_ *testing.T, base http.RoundTripper) http.RoundTripper { return base }},
	{"ours", 1.2, func(t *testing.T, base http.RoundTripper) http.RoundTripper {
		return newOurs(t, breaker.Settings{}).Transport(base, breaker.Retry(stormRetries))
	}},
	{"ours, that never opens", 1.2, func(t *testing.T, base http.RoundTripper) http.RoundTripper {
		return newOurs(t, breaker.Settings{ClosedFailLimit: 1 << 30}).Transport(base, breaker.Retry(stormRetries))
	}},
	{"failsafe-go with its budget", 0, func(_ *testing.T, base http.RoundTripper) http.RoundTripper {
		return failsafehttp.NewRoundTripper(base, failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(stormRetries).
			WithBackoff(50*time.Millisecond, 2*time.Second).WithJitterFactor(0.5).WithBudget(budget.New()).Build())
	}},
	{"failsafe-go without", 0, func(_ *testing.T, base http.RoundTripper) http.RoundTripper {
		return failsafehttp.NewRoundTripper(base, failsafehttp.NewRetryPolicyBuilder().WithMaxRetries(stormRetries).
			WithBackoff(50*time.Millisecond, 2*time.Second).WithJitterFactor(0.5).Build())
	}},
}

// TestRetryStorm prints the load that a service meets which fails half of its requests for a
// minute of simulated time, under 1 000 calls a second, and how many calls failed in the end.
func TestRetryStorm(t *testing.T) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	fmt.Fprintln(w, "client\tcalls\trequests\tload\tfailed calls\trefused")
	var lines []plotted
	for _, c := range stormClients {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const calls = 60_000
				service := &flaky{}
				client := &http.Client{Transport: c.make(t, service)}
				var failed, refused atomic.Int64
				var all sync.WaitGroup
				line, before := plotted{name: c.name}, int64(0)
				tick := time.NewTicker(time.Millisecond)
				defer tick.Stop()
				for i := range calls {
					if <-tick.C; i%1000 == 999 {
						now := service.requests.Load()
						line.values, before = append(line.values, float64(now-before)), now
					}
					all.Go(func() {
						res, err := client.Get("http://mail.internal/v1/letters")
						switch {
						case err != nil && strings.Contains(err.Error(), "circuit breaker"):
							refused.Add(1)
							return
						case err != nil:
							failed.Add(1)
							return
						case res.StatusCode != 200:
							failed.Add(1)
						}
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					})
				}
				all.Wait()
				lines = append(lines, line)
				load := float64(service.requests.Load()) / calls
				fmt.Fprintf(w, "%s\t%d\t%d\t%.3f\t%.1f %%\t%.1f %%\n", c.name, calls, service.requests.Load(), load,
					100*float64(failed.Load())/calls, 100*float64(refused.Load())/calls)
				if c.most > 0 && load > c.most {
					t.Errorf("%.3f requests a call, want at most %v", load, c.most)
				}
			})
		})
	}
	draw(t, "breaker-retry-storm", "A service that fails half of its requests, under 1 000 calls a second with 10 retries", "requests a second",
		time.Second, 3000, lines)
}
