package chassistest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/chassistest"
)

type (
	order   struct{ sku int }
	reserve struct{ sku int }
)

// shop asks the stock for each order, and answers who ordered.
func shop(stock *actor.PID) *actor.Props {
	var customer *actor.PID
	return actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case order:
			customer = c.Sender()
			c.Request(stock, reserve(m))
		case bool:
			c.Send(customer, m)
		}
	})
}

func TestAProbeStandsForAnActor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		stock, customer := chassistest.NewProbe(t, sys.Actors()), chassistest.NewProbe(t, sys.Actors())
		pid := sys.Actors().Root.Spawn(shop(stock.PID()))
		customer.Watch(pid)
		customer.Send(pid, order{7})
		if m := chassistest.Expect[reserve](stock); m.sku != 7 || !stock.Sender().Equal(pid) {
			t.Errorf("%+v of %v", m, stock.Sender())
		}
		customer.ExpectNone(time.Hour)
		stock.Reply(true)
		if !chassistest.Expect[bool](customer) {
			t.Error("not reserved")
		}
		stock.ExpectNone(time.Hour)
		sys.Actors().Root.Stop(pid)
		if m := chassistest.Expect[*actor.Terminated](customer); !m.Who.Equal(pid) {
			t.Errorf("%v ended", m.Who)
		}
		stock.Watch(customer.PID())
		sys.Actors().Root.Stop(customer.PID())
		chassistest.Expect[*actor.Terminated](stock)
	})
}

func TestAProbeSaysWhatItGotInstead(t *testing.T) {
	for name, c := range map[string]struct {
		use  func(*chassistest.Probe)
		want string
	}{
		"another type": {func(p *chassistest.Probe) { p.Send(p.PID(), order{7}); chassistest.Expect[reserve](p) }, "got a chassistest_test.order, want a chassistest_test.reserve"},
		"nothing":      {func(p *chassistest.Probe) { chassistest.Expect[reserve](p) }, "got no chassistest_test.reserve within 10s"},
		"something":    {func(p *chassistest.Probe) { p.Send(p.PID(), order{7}); p.ExpectNone(time.Second) }, "want none"},
		"no sender":    {func(p *chassistest.Probe) { p.Reply(1) }, "no sender"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := chassistest.New(t)
				f := &failures{TB: t}
				p := chassistest.NewProbe(f, sys.Actors())
				func() {
					defer func() {
						if r := recover(); r != nil && r != f {
							panic(r)
						}
					}()
					c.use(p)
				}()
				if len(f.texts) != 1 || !strings.Contains(f.texts[0], c.want) {
					t.Errorf("%q, want %q", f.texts, c.want)
				}
			})
		})
	}
}

// failures takes what would fail the test.
type failures struct {
	testing.TB
	texts []string
}

func (f *failures) Errorf(format string, args ...any) {
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

func (f *failures) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	panic(f)
}

func (f *failures) Fatal(args ...any) {
	f.texts = append(f.texts, fmt.Sprint(args...))
	panic(f)
}
