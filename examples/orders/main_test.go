package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/examples/orders/gateway"
	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/task/outbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outside is where tests have the payment gateway and the mail service.
const outside = "http://outside.test"

func testConfig() Config {
	cfg := defaults()
	cfg.Payments.URL, cfg.Mail.URL = outside, outside
	return cfg
}

// inMemory makes requests by calling their handler.
type inMemory struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	res := w.Result()
	res.Request = r
	return res, nil
}

// testDSN is a database in a folder. It is not synced: a test's machine does not fail.
func testDSN(dir string) string {
	_, dsn := driverOf(filepath.Join(dir, "orders.db"))
	return dsn + "&_pragma=synchronous(OFF)"
}

// testStore makes a database that is closed at the end of the test.
func testStore(t testing.TB, dsn string) *Store {
	t.Helper()
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	store, err := newStore(db, "sqlite")
	if err != nil {
		t.Fatal(err)
	}
	if err := store.migrate(t.Context(), "sqlite"); err != nil {
		t.Fatal(err)
	}
	return store
}

// service is the whole service under test: the code of production on a queue and a
// gateway in memory.
type service struct {
	*chassistest.System
	*shop
	t       *testing.T
	api     http.Handler
	gateway *gateway.Gateway
	db      *sql.DB
	pause   time.Duration // between two looks at the outbox
}

func newService(t *testing.T, faults func() gateway.Fault, opts ...chassistest.Option) *service {
	t.Helper()
	return newServiceOn(t, testStore(t, testDSN(t.TempDir())), faults, opts...)
}

func newServiceOn(t *testing.T, store *Store, faults func() gateway.Fault, opts ...chassistest.Option) *service {
	t.Helper()
	s := &service{t: t, gateway: gateway.New(faults), db: store.db, pause: time.Second}
	s.System = chassistest.New(t, append(opts, chassistest.Name("orders"))...)
	s.Add("outbox", store.box.Relay(s.System.System, outbox.Settings{Poll: time.Minute})) // a commit wakes it
	s.shop = newShop(s.System.System, store, testConfig(), server.Propagate(inMemory{s.gateway}))
	s.api = server.Middleware(s.System)(s.routes())
	return s
}

// RunUntilIdle waits until the queue and the outbox are empty, twice in a row: what leaves
// the one may be on its way to the other.
func (s *service) RunUntilIdle() {
	s.t.Helper()
	for quiet := 0; quiet < 2; quiet++ {
		s.System.RunUntilIdle()
		depth, err := s.store.box.Depth(context.Background())
		if err != nil {
			s.t.Fatal(err)
		}
		if depth.Rows > 0 {
			quiet = -1
		}
		time.Sleep(s.pause) // the relay's time
	}
}

// ask makes a request of the API, and reads the answer into into unless that is nil.
func (s *service) ask(method, path, key, body string, into any) int {
	s.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	s.api.ServeHTTP(w, r)
	if into != nil {
		if err := json.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(into); err != nil {
			s.t.Fatalf("%s %s: %d %s: %v", method, path, w.Code, w.Body, err)
		}
	}
	return w.Code
}

const (
	tea      = `{"customer": "ann@example.org", "items": [{"sku": "tea", "quantity": 2, "cents": 450}]}`
	declined = `{"customer": "bob@example.org", "items": [{"sku": "cup", "quantity": 1, "cents": 513}]}`
)

// place places an order and returns it.
func (s *service) place(key, body string) (o Order) {
	s.t.Helper()
	if status := s.ask("POST", "/orders", key, body, &o); status != http.StatusCreated {
		s.t.Fatalf("POST /orders: %d", status)
	}
	return o
}

// order returns an order as the API shows it.
func (s *service) order(id string) (o Order) {
	s.t.Helper()
	if status := s.ask("GET", "/orders/"+id, "", "", &o); status != http.StatusOK {
		s.t.Fatalf("GET /orders/%s: %d", id, status)
	}
	return o
}
