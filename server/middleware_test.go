package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"unsafe"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis/actors/logger"
)

// toNowhere is a System with the chassis' own log.
type toNowhere struct{ log *logger.Logger }

func (s toNowhere) Logger(name string) *slog.Logger { return s.log.Named(name) }

// All pieces but the time limit cost three allocations a request: the request, net/http's
// copy of it that has the ctx, and the mux' match.
func TestARequestCostsThreeAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool forgets")
	}
	log, err := logger.New("orders", logger.Settings{Format: logger.FormatJSON}, logger.WithOutput(io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Stop(context.Background())
	mux := muxOf(map[string]http.HandlerFunc{"GET /orders/{id}": func(http.ResponseWriter, *http.Request) {}})
	cost := func(h http.Handler) float64 {
		r := httptest.NewRequest(http.MethodGet, "/orders/17", nil)
		w := httptest.NewRecorder()
		return testing.AllocsPerRun(500, func() { h.ServeHTTP(w, r) })
	}
	bare := cost(mux)
	all := cost(Middleware(toNowhere{log}, WithRegisterer(prometheus.NewRegistry()), WithShedding(Limits{}))(mux))
	if all > bare+3 {
		t.Errorf("%v allocations, and %v of the mux alone", all, bare)
	}
}

// What a request allocates is the collector's work, most of what the middleware costs: with the copy of
// http.Request, which has 304 bytes, it fills a class of the allocator, of 512.
func TestARequestHas208Bytes(t *testing.T) {
	const pointer = 8 // of a 64-bit machine
	if n := unsafe.Sizeof(request{}); n > 208 && unsafe.Sizeof(uintptr(0)) == pointer {
		t.Errorf("a request has %d bytes", n)
	}
}
