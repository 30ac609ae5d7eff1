package effects

import (
	"fmt"
	"net/http"
	"strings"
)

// Verdict says what is wrong about the effects of a case.
type Verdict string

// The verdicts of [Compare].
const (
	Repeated   Verdict = "repeated"    // made again, and a second one does harm
	Lost       Verdict = "lost"        // never made
	TooEarly   Verdict = "too early"   // a task was sent before what it is about was committed
	NotAwaited Verdict = "not awaited" // the handler returned before it was over
)

// Difference is one thing in which a case differs from the whole run.
type Difference struct {
	Verdict Verdict
	First   *Effect // of the first run; of the whole run if it was lost
	Second  *Effect // of a later run; nil if it has none
	Advice  string  // what to do
}

// Compare compares the effects of a case with those of a whole run of the same task. It
// leaves statements out if the state is compared: that is the stronger judge.
func Compare(whole, all []*Effect, byState bool) []Difference {
	c := &comparison{whole: index(whole, byState), byState: byState}
	made := effective(all, byState)
	var found []Difference
	for i, e := range made {
		if d, ok := c.repeated(e, made[:i]); ok {
			found = append(found, d)
		}
	}
	found = append(found, c.lost(made)...)
	for _, e := range all {
		switch {
		case e.Early && e.Made && e.Err == nil && undone(all, e):
			found = append(found, Difference{TooEarly, e, nil, adviceTooEarly})
		case e.Late && !e.ReadOnly && e.Name != commit:
			found = append(found, Difference{NotAwaited, e, nil, adviceNotAwaited})
		}
	}
	return found
}

const commit = "COMMIT"

// effective are the effects that happened and changed something, in order.
func effective(all []*Effect, byState bool) []*Effect {
	var made []*Effect
	for _, e := range all {
		if e.Made && !e.ReadOnly && !e.Undone && e.Name != commit && (e.Kind != SQL || e.Changed != 0) &&
			!(byState && e.Kind == SQL) {
			made = append(made, e)
		}
	}
	return made
}

// comparison knows the effects of a whole run.
type comparison struct {
	whole   wholeRun
	byState bool
}

// wholeRun counts the effects of a whole run, by how much of them is compared.
type wholeRun struct {
	made   []*Effect
	named  map[string]int // by kind and name
	keyed  map[string]int // by their key, too
	argued map[string]int // statements by their arguments, too
	like   map[string]int // by kind and verb
}

func index(all []*Effect, byState bool) wholeRun {
	w := wholeRun{effective(all, byState), map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}}
	for _, e := range w.made {
		w.named[e.named()]++
		w.argued[e.argued()]++
		w.like[e.like()]++
		for _, k := range e.keyed() {
			w.keyed[k]++
		}
	}
	return w
}

func (e *Effect) named() string  { return string(e.Kind) + " " + e.Name }
func (e *Effect) argued() string { return e.named() + " " + e.Detail }

// keyed are the names of e by its keys.
func (e *Effect) keyed() []string {
	var keys []string
	if e.Key != "" {
		keys = append(keys, e.named()+" key "+e.Key)
	}
	if e.Dedup != "" {
		keys = append(keys, e.named()+" deduplication id "+e.Dedup)
	}
	return keys
}

// like names the effects that are of one sort: with another URL or key they may be
// the same one, under a name that was made up in the run.
func (e *Effect) like() string {
	first, _, _ := strings.Cut(e.Name, " ")
	if e.Kind == Send || e.Kind == Other {
		first = e.Name
	}
	return string(e.Kind) + " " + first
}

// stable reports whether an effect has a key that the whole run has for it, too.
func (c *comparison) stable(e *Effect) bool {
	for _, k := range e.keyed() {
		if c.whole.keyed[k] > 0 {
			return true
		}
	}
	return false
}

// repeated judges an effect of a later run by those before it.
func (c *comparison) repeated(e *Effect, before []*Effect) (Difference, bool) {
	earlier := before[:0:0]
	for _, b := range before {
		if b.Run < e.Run {
			earlier = append(earlier, b)
		}
	}
	if len(earlier) == 0 {
		return Difference{}, false
	}
	known := c.whole.named[e.named()] > 0
	switch {
	case e.Kind == SQL:
		return c.statement(e, before, earlier)
	case known && e.idempotentMethod():
		return Difference{}, false
	case c.stable(e):
		return otherBody(e, earlier)
	case !known: // under a name that the whole run does not have
		first := last(earlier, func(b *Effect) bool { return b.like() == e.like() })
		if first == nil || count(before, e.like(), (*Effect).like)+1 <= c.whole.like[e.like()] {
			return Difference{}, false
		}
		return Difference{Repeated, first, e, adviceName}, true
	}
	first := last(earlier, func(b *Effect) bool { return b.named() == e.named() })
	if first == nil || count(before, e.named(), (*Effect).named)+1 <= c.whole.named[e.named()] {
		return Difference{}, false
	}
	return Difference{Repeated, first, e, adviceOf(e)}, true
}

// statement judges a statement by its text and its arguments.
func (c *comparison) statement(e *Effect, before, earlier []*Effect) (Difference, bool) {
	word := verb(e.Name)
	if Repeats(e.Name) && (word != "INSERT" && word != "REPLACE" || c.whole.argued[e.argued()] > 0) {
		return Difference{}, false
	}
	first := last(earlier, func(b *Effect) bool { return b.named() == e.named() })
	if first == nil || count(before, e.named(), (*Effect).named)+1 <= c.whole.named[e.named()] {
		return Difference{}, false
	}
	return Difference{Repeated, first, e, adviceSQL}, true
}

// otherBody accuses a request that uses a key again for something else.
func otherBody(e *Effect, earlier []*Effect) (Difference, bool) {
	for _, b := range earlier {
		if e.Kind == HTTP && b.named() == e.named() && b.Key == e.Key && b.Detail != e.Detail {
			return Difference{Repeated, b, e, adviceBody}, true
		}
	}
	return Difference{}, false
}

// idempotentMethod reports whether a request is idempotent by its method, by RFC 9110,
// section 9.2.2.
func (e *Effect) idempotentMethod() bool {
	method, _, _ := strings.Cut(e.Name, " ")
	return e.Kind == HTTP && (method == http.MethodPut || method == http.MethodDelete)
}

func last(all []*Effect, is func(*Effect) bool) *Effect {
	for i := len(all) - 1; i >= 0; i-- {
		if is(all[i]) {
			return all[i]
		}
	}
	return nil
}

func count(all []*Effect, name string, of func(*Effect) string) (n int) {
	for _, e := range all {
		if of(e) == name {
			n++
		}
	}
	return n
}

// lost finds the effects of the whole run that were never made. One of its sort under a
// name or key that the whole run does not have may be the same one.
func (c *comparison) lost(made []*Effect) []Difference {
	keyed, named, unknown := map[string]bool{}, map[string]int{}, map[string]int{}
	for _, e := range made {
		named[e.named()]++
		known := c.whole.named[e.named()] > 0
		if keys := e.keyed(); len(keys) > 0 {
			known = known && c.stable(e)
			for _, k := range keys {
				keyed[k] = true
			}
		}
		if !known {
			unknown[e.like()]++
		}
	}
	var found []Difference
	wanted := map[string]int{}
	for _, e := range c.whole.made {
		there := false
		if keys := e.keyed(); len(keys) > 0 {
			for _, k := range keys {
				there = there || keyed[k]
			}
		} else {
			wanted[e.named()]++
			there = named[e.named()] >= wanted[e.named()]
		}
		if there {
			continue
		}
		if unknown[e.like()] > 0 {
			unknown[e.like()]--
			continue
		}
		found = append(found, Difference{Lost, e, nil, adviceLost})
	}
	return found
}

// undone reports whether statements were rolled back in the run of e.
func undone(all []*Effect, e *Effect) bool {
	for _, s := range all {
		if s.Undone && s.Run == e.Run && s.Process == e.Process {
			return true
		}
	}
	return false
}

// String is the difference for people, without the advice.
func (d Difference) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "first run:  %v", d.First)
	if d.Second != nil {
		fmt.Fprintf(&b, "\nsecond run: %v", d.Second)
	}
	return b.String()
}
