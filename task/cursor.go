package task

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// Cursor is the position of a loop over more than a step can hold, as over the rows
// of a table. It is a step of its own, and travels as the results of steps do.
//
//	rows, err := task.OpenCursor(ctx, "rows", int64(0))
//	if err != nil {
//		return err
//	}
//	for !rows.Over() {
//		page, err := load(ctx, rows.At(), 1000) // the first 1000 with an id above that
//		...
//		if len(page) == 0 {
//			err = rows.End()
//		} else {
//			err = rows.Save(page[len(page)-1].ID)
//		}
//		...
//	}
//
// The body may have steps. They belong to one round: Save forgets them. A cursor is for
// one goroutine.
type Cursor[P any] struct {
	place Place
	at    P
	over  bool
}

// OpenCursor returns the cursor name of ctx's execution, at the position that was saved
// last, or at start.
func OpenCursor[P any](ctx context.Context, name string, start P) (*Cursor[P], error) {
	c := &Cursor[P]{}
	p := &c.place
	if err := p.begin(ctx, name, kindCursor); err != nil {
		return nil, err
	}
	if !p.known {
		data, err := json.Marshal(start)
		if err != nil {
			return nil, p.wrong(fmt.Errorf("%w: a position of type %T: %w", ErrNotEncodable, start, err))
		}
		if err := p.keep(entry{name: name, kind: kindCursor, result: data}); err != nil {
			return nil, err
		}
		p.result = data
	}
	var err error
	if c.at, err = recalled[P](p); err != nil {
		if !p.known {
			err = p.wrong(fmt.Errorf("%w: %w", ErrNotEncodable, err))
		}
		return nil, err
	}
	c.over = p.over
	return c, nil
}

// At returns the position.
func (c *Cursor[P]) At() P { return c.at }

// Over reports whether the loop has ended, in this attempt or an earlier one.
func (c *Cursor[P]) Over() bool { return c.over }

// Save makes position the one that the next attempt begins at: all up to it is done. It
// costs no request. Steps that came after the cursor, those of the round that ends, are
// forgotten.
func (c *Cursor[P]) Save(position P) error {
	data, err := encodePosition(position)
	if err != nil {
		return c.place.wrong(fmt.Errorf("%w: a position of type %T: %w", ErrNotEncodable, position, err))
	}
	if err := c.move(data, false); err != nil {
		return err
	}
	c.at = position
	return nil
}

// End notes that the loop has ended: what comes to the table later does not lead a
// later attempt into it again.
func (c *Cursor[P]) End() error {
	if err := c.move(nil, true); err != nil {
		return err
	}
	c.over = true
	return nil
}

func (c *Cursor[P]) move(data json.RawMessage, over bool) error {
	p := &c.place
	j := p.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	l := j.lane(p.lane)
	switch {
	case j.ended:
		return &StepError{p.info.Task, p.lane, p.name, fmt.Errorf("%w, so the position is lost", ErrAttemptOver)}
	case l.busy != "":
		return p.wrong(fmt.Errorf("%w: the cursor moves inside step %q", ErrNestedStep, cut(l.busy)))
	case l.sleeping != nil:
		return l.sleeping
	}
	e := &l.done[p.at]
	if data != nil {
		if j.bytes+len(data)-len(e.result) > MaxJournal {
			return p.wrong(ErrJournalFull)
		}
		j.bytes += len(data) - len(e.result)
		e.result = data
	}
	e.over, e.at = over, time.Now().UnixMilli()
	j.cut(l, p.at+1)
	return nil
}

// encodePosition is json.Marshal, faster for the usual position: loops save one a row.
func encodePosition(position any) (json.RawMessage, error) {
	switch n := position.(type) {
	case int64:
		return strconv.AppendInt(nil, n, 10), nil
	case int:
		return strconv.AppendInt(nil, int64(n), 10), nil
	}
	return json.Marshal(position)
}
