package main

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/examples/orders/gateway"
)

func TestAnOrderIsPaidAndInvoiced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		o := s.place("key-1", tea)
		if o.Status != Placed || o.Cents != 900 {
			t.Errorf("it was %s over %d cents", o.Status, o.Cents)
		}
		s.RunUntilIdle()
		if got := s.order(o.ID); got.Status != Paid || got.PaidAt.IsZero() {
			t.Errorf("it is %s, paid at %v", got.Status, got.PaidAt)
		}
		s.expect(gateway.Books{Charged: map[string]int{o.ID: 1}, Cents: map[string]int64{o.ID: 900},
			Mails: map[gateway.Mail]int{{To: "ann@example.org", Subject: "Your invoice"}: 1}})
		s.AssertSucceeded("charge-"+o.ID, "invoice-"+o.ID, "mail-invoice-"+o.ID)
		s.AssertNoneDead()
	})
}

// expect compares the books of the gateway.
func (s *service) expect(want gateway.Books) {
	s.t.Helper()
	got := s.gateway.Books()
	if !maps.Equal(got.Charged, want.Charged) || !maps.Equal(got.Cents, want.Cents) ||
		!maps.Equal(got.Refunded, want.Refunded) || !maps.Equal(got.Mails, want.Mails) {
		s.t.Errorf("the gateway has\n%+v\nwant\n%+v", got, want)
	}
}

// A search for the id of a request in the log finds what the request has caused.
func TestTheTasksOfARequestCarryItsId(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		s.place("key-1", tea)
		s.RunUntilIdle()
		jobs := map[any]bool{}
		for _, record := range s.Logs() {
			if record.Message == "task done" || record.Fields["task"] == "mail" {
				jobs[record.Fields["job_name"]] = true
			}
		}
		if !jobs["POST /orders"] || len(jobs) != 1 {
			t.Errorf("the tasks belong to %v", jobs)
		}
	})
}

func TestAnOutageOfTheGatewayCostsNothingButTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		s := newService(t, func() gateway.Fault { return gateway.Fault{Before: time.Since(begun) < 3*time.Hour} })
		var ids []string
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"} {
			ids = append(ids, s.place(key, tea).ID)
		}
		s.RunUntilIdle()
		for _, id := range ids {
			if o := s.order(id); o.Status != Paid || o.PaidAt.Before(begun.Add(3*time.Hour)) {
				t.Errorf("%s is %s at %v", id, o.Status, o.PaidAt)
			}
		}
		if took := time.Since(begun); took > 3*time.Hour+10*time.Minute {
			t.Errorf("it took %v", took)
		}
		s.AssertNoneDead()
	})
}

// Half of what fails has been done: the keys keep it from being done again.
func TestAFlakyGatewayBooksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		s := newService(t, func() gateway.Fault { n++; return gateway.Fault{Before: n%5 == 1, After: n%5 == 2} })
		ids := map[string]int{}
		for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			ids[s.place(key, tea).ID] = 1
		}
		s.RunUntilIdle()
		books := s.gateway.Books()
		if !maps.Equal(books.Charged, ids) || books.Mails[gateway.Mail{To: "ann@example.org", Subject: "Your invoice"}] != len(ids) {
			t.Errorf("%+v", books)
		}
		if books.Repeats == 0 {
			t.Error("nothing was asked twice: the test tests nothing")
		}
	})
}

func TestADeclinedOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		o := s.place("key-1", declined)
		s.RunUntilIdle()
		if got := s.order(o.ID); got.Status != Declined {
			t.Errorf("it is %s", got.Status)
		}
		s.expect(gateway.Books{Mails: map[gateway.Mail]int{{To: "bob@example.org", Subject: "Your payment was declined"}: 1}})
		if status := s.ask("POST", "/orders/"+o.ID+"/cancel", "", "", nil); status != 409 {
			t.Errorf("to cancel it: %d", status)
		}
	})
}

func TestACancelledOrderGetsItsMoneyBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		o := s.place("key-1", tea)
		s.RunUntilIdle()
		for range 2 {
			var now Order
			if status := s.ask("POST", "/orders/"+o.ID+"/cancel", "", "", &now); status != 200 || now.Status != Cancelled {
				t.Fatalf("to cancel it: %d, %s", status, now.Status)
			}
		}
		s.RunUntilIdle()
		if s.order(o.ID).RefundedAt.IsZero() {
			t.Error("it is not refunded")
		}
		s.expect(gateway.Books{Charged: map[string]int{o.ID: 1}, Cents: map[string]int64{o.ID: 900}, Refunded: map[string]bool{o.ID: true},
			Mails: map[gateway.Mail]int{{To: "ann@example.org", Subject: "Your invoice"}: 1,
				{To: "ann@example.org", Subject: "Your order is cancelled"}: 1}})
	})
}

func TestAnOrderThatIsCancelledBeforeItsPaymentIsNeverCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		o := s.place("key-1", tea)
		if status := s.ask("POST", "/orders/"+o.ID+"/cancel", "", "", nil); status != 200 {
			t.Fatalf("to cancel it: %d", status)
		}
		s.RunUntilIdle()
		if books := s.gateway.Books(); len(books.Charged) != 0 || !books.Refunded[o.ID] {
			t.Errorf("%+v", books)
		}
	})
}

// The payment was on its way when the order was cancelled: it is charged, and refunded.
func TestAnOrderThatIsCancelledWhileItIsCharged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := 10 * time.Second
		s := newService(t, func() gateway.Fault { d := slow; slow = 0; return gateway.Fault{Delay: d, After: d > 0} })
		o := s.place("key-1", tea)
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		s.ask("POST", "/orders/"+o.ID+"/cancel", "", "", nil)
		s.RunUntilIdle()
		books := s.gateway.Books()
		if got := s.order(o.ID); got.Status != Cancelled || got.RefundedAt.IsZero() || !books.Refunded[o.ID] {
			t.Errorf("it is %+v, the gateway has %+v", got, books)
		}
	})
}

// The gateway fails for two days after it has charged: it is not known what it has done. Failures of a service that is
// down spend nothing for a day, then they use up the budget.
func TestAnOrderThatCannotBeChargedIsRefunded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		s := newService(t, func() gateway.Fault { return gateway.Fault{After: time.Since(begun) < 48*time.Hour} })
		o := s.place("key-1", tea)
		s.RunUntilIdle()
		if took := time.Since(begun); took < 48*time.Hour || took > 50*time.Hour {
			t.Errorf("it was refunded after %v", took)
		}
		if got := s.order(o.ID); got.Status != Cancelled || !s.gateway.Books().Refunded[o.ID] {
			t.Errorf("it is %+v, the gateway has %+v", got, s.gateway.Books())
		}
	})
}

// The process has died after the order was committed: its task is a row until another
// process relays it.
func TestATaskThatARequestCouldNotSendIsSentLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		o, _, err := s.store.Place(t.Context(), "key-1", Draft{"ann@example.org", []Item{{"tea", 1, 450}}})
		if err != nil {
			t.Fatal(err)
		}
		s.RunUntilIdle()
		if got := s.order(o.ID); got.Status != Paid {
			t.Errorf("it is %s", got.Status)
		}
		s.AssertAttempts("charge-"+o.ID, 1)
	})
}
