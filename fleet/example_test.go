package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/fleet"
)

// Two copies of a service: both find a remote service down, and both know of it.
func ExampleJoin() {
	copyOf := func(s fleet.Settings) (*chassis.System, *fleet.Fleet) {
		sys := chassis.MustNew("mailer", chassis.WithSettings(chassis.DefaultSettings()),
			chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())
		members, err := fleet.Join(sys, s)
		if err != nil {
			panic(err)
		}
		if err := sys.Start(context.Background()); err != nil {
			panic(err)
		}
		return sys, members
	}
	a, one := copyOf(fleet.Settings{Bind: "127.0.0.1:0"})
	list, err := one.Members(context.Background())
	if err != nil {
		panic(err)
	}
	b, _ := copyOf(fleet.Settings{Bind: "127.0.0.1:0", Seeds: []string{list[0].Addr}})
	for len(list) < 2 {
		time.Sleep(10 * time.Millisecond)
		if list, err = one.Members(context.Background()); err != nil {
			panic(err)
		}
	}
	fmt.Println(len(list), "members")

	for _, sys := range []*chassis.System{a, b} {
		mail := sys.Breaker("https://mail.internal")
		for range 10 {
			_ = mail.Do(context.Background(), "/send", func(context.Context) error { return errors.New("503") })
		}
		fmt.Println(mail.State() == breaker.Open)
	}
	for _, sys := range []*chassis.System{a, b} {
		if err := sys.Stop(context.Background()); err != nil {
			panic(err)
		}
	}
	// Output:
	// 2 members
	// true
	// true
}
