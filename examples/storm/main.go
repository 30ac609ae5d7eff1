// Storm shows what a task's handler can do wrong, and how a test finds it.
//
//	go run ./examples/storm     # the wrong handler, and what is found
//	go test ./examples/storm    # the right one passes, and the wrong one is found
//
// The handler charges an order at a bank. The wrong one gives the bank no key. It is
// found twice: by chassistest.Twice, which runs it, kills its process before the delete
// of the message and runs it again; and by chassistest.Storm, which plays a fleet of
// processes under faults and makes a failing schedule as small as it gets.
package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

func main() {
	// The program is a test that fails, as it must: the handler is wrong.
	testing.Main(func(_, _ string) (bool, error) { return true, nil }, []testing.InternalTest{
		{Name: "Twice", F: func(t *testing.T) { chassistest.Twice(t, rerun(wrong)) }},
		{Name: "Storm", F: func(t *testing.T) { chassistest.Storm(t, storm(wrong), deaths) }},
	}, nil, nil)
}

// deaths makes the trace short: nothing but deaths goes wrong.
var deaths = chassistest.Kinds(chassistest.DieBefore, chassistest.DieAfter)

type making func(bank *http.Client) task.Handler[Order]

// rerun is the world of a Twice: a bank, and a process with the handler.
func rerun(handler making) func(*chassistest.Rerun) {
	return func(r *chassistest.Rerun) {
		bank := newBank() // outlives a death
		r.State(func() any { return bank.Books() })
		r.Process(func(p *chassistest.RerunProcess) {
			chassis.Handle(p.System, Charge, handler(p.Client(inMemory{bank})))
		})
		chassistest.Message(r, Charge, Order{ID: 1, Cents: 500})
	}
}

// storm is the play of a Storm: a bank, a fleet, ten orders.
func storm(handler making) func(*chassistest.World) {
	const orders = 10
	return func(w *chassistest.World) {
		bank := newBank()
		client := &http.Client{Transport: w.Upstream("bank", bank)}
		w.Service(func(p *chassistest.Process) {
			chassis.Handle(p.System, Charge, handler(client))
		})
		for id := range orders {
			chassistest.Submit(w, Charge, Order{ID: id, Cents: 500})
		}
		w.Eventually("no order is booked twice", bank.Check)
	}
}

// inMemory makes requests by calling their handler.
type inMemory struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	m.handler.ServeHTTP(w, r)
	res := w.Result()
	res.Request = r
	return res, nil
}
