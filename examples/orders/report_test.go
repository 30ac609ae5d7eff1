package main

import (
	"context"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/examples/orders/gateway"
)

// The bubble begins at midnight UTC.
func TestEachDayIsReportedAtNight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := time.Now().UTC()
		s := newService(t, nil)
		s.nightly()
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		s.place("day 1", tea)
		time.Sleep(25 * time.Hour) // one o'clock
		s.expectReports(first, 0)
		s.place("day 2", tea)
		s.place("also day 2", tea)
		time.Sleep(2 * time.Hour)
		s.expectReports(first, 1)
		time.Sleep(48 * time.Hour)
		s.expectReports(first, 3)
		var orders, cents int64
		second := first.AddDate(0, 0, 1).Format(time.DateOnly)
		err := s.db.QueryRow("SELECT orders, cents FROM reports WHERE day = $1", second).Scan(&orders, &cents)
		if err != nil || orders != 2 || cents != 1800 {
			t.Errorf("day 2 has %d orders, %d cents: %v", orders, cents, err)
		}
	})
}

func TestDaysWithoutTheServiceAreReportedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := time.Now().UTC()
		s := newService(t, nil)
		s.nightly()
		s.place("key-1", tea)
		s.RunUntilIdle()
		if err := s.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Hour)
		next := newServiceOn(t, s.store, nil, chassistest.Beside(s.System))
		next.nightly()
		if _, err := chassis.Send(t.Context(), next.System.System, Report, ForNight{}); err != nil { // as a second one of the tick
			t.Fatal(err)
		}
		next.RunUntilIdle()
		time.Sleep(time.Minute)
		next.RunUntilIdle()
		next.expectReports(first, 4)
	})
}

// expectReports checks that the first days have one report each, and no other day has.
func (s *service) expectReports(first time.Time, days int) {
	s.t.Helper()
	want, got := map[gateway.Mail]int{}, map[gateway.Mail]int{}
	for i := range days {
		want[gateway.Mail{To: "accounts@shop.test", Subject: "The day " + first.AddDate(0, 0, i).Format(time.DateOnly)}] = 1
	}
	for mail, n := range s.gateway.Books().Mails {
		if mail.To == "accounts@shop.test" {
			got[mail] = n
		}
	}
	if !maps.Equal(got, want) {
		s.t.Errorf("the reports are %v, want %v", got, want)
	}
}
