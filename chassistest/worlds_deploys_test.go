package chassistest

import (
	"fmt"
	"time"
)

// deploys: a FIFO pool in an outage, with deploys one after the other. Each costs a message that
// was delivered before one delivery, and no second one to the process that has given it back.
var deploys = playground{
	play: func(w *World) {
		outage.play(w)
		for i := range 8 {
			w.at(time.Minute+time.Duration(i)*time.Minute, func() {
				if s := w.seats[i%2]; s.p != nil && s.p.started && !s.p.stopping {
					w.stop(s.p, time.Second)
				}
			})
		}
		w.Eventually("a deploy is one delivery", func() error { return givenBackForGood(w) })
	},
	opts: []StormOption{Tune(fifo), Fleet(2), Faults(6), Kinds(Deploy, Apply, Pause),
		outage.opts[len(outage.opts)-1]},
}

// givenBackForGood says that no process received a message while it stopped that it had at its
// stop, and that it was not the first to have.
func givenBackForGood(w *World) error {
	type life [2]int
	holder, deliveries := map[string]life{}, map[string]int{}
	given := map[life]map[string]bool{} // to stopping processes: what they had, at a later delivery
	for _, e := range w.History() {
		l := life{e.Process, e.Life}
		switch e.What {
		case "stops":
			given[l] = map[string]bool{}
			for label, by := range holder {
				given[l][label] = by == l && deliveries[label] > 1
			}
		case string(OnReceive) + " answered":
			for _, label := range e.Tasks {
				if given[l][label] {
					return fmt.Errorf("p%d received %s again, at %v, while it stopped", e.Process, label, e.At)
				}
				holder[label] = l
				deliveries[label]++
			}
		}
	}
	return nil
}
