package breaker

import (
	"fmt"
	"log/slog"
	"time"
)

// State of an entry.
type State uint8

const (
	Closed   State = iota // admits; failures are counted
	Open                  // refuses until its time is over
	HalfOpen              // admits a few calls to find out, then a growing share if there is a ramp
	// An operator's states lie over the entry's own and end by Reset or their time.
	ForcedOpen   // refuses
	ForcedClosed // admits and counts nothing
	MetricsOnly  // admits everything; the entry's own state goes on beneath and is logged as Shadow
	numStates
)

var stateNames = [numStates]string{"closed", "open", "half-open", "forced-open", "forced-closed", "metrics-only"}

// String returns "closed", "open", "half-open", "forced-open", "forced-closed" or "metrics-only".
func (s State) String() string {
	if s < numStates {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// MarshalText implements encoding.TextMarshaler.
func (s State) MarshalText() ([]byte, error) {
	if s >= numStates {
		return nil, fmt.Errorf("breaker: there is no state %d", uint8(s))
	}
	return []byte(stateNames[s]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *State) UnmarshalText(text []byte) error {
	for i, name := range stateNames {
		if name == string(text) {
			*s = State(i)
			return nil
		}
	}
	return fmt.Errorf("breaker: %q is not a state: want one of %q", text, stateNames)
}

// Transition is one change of the state of one entry: an event of the ordered
// log, numbered without gaps within its breaker.
type Transition struct {
	Seq     uint64    `json:"seq"` // 1, 2, 3 …
	At      time.Time `json:"at"`
	Service string    `json:"service"`
	Entry   string    `json:"path"` // prefix, as /v1/send; empty for the service itself; "@" and an address
	From    State     `json:"from"`
	To      State     `json:"to"`
	Shadow  bool      `json:"shadow,omitempty"` // beneath an operator's state: nothing changed for callers
	Reason  string    `json:"reason"`
	Until   time.Time `json:"until,omitzero"` // when the new state ends by itself; zero if it does not
}

// LogValue implements slog.LogValuer.
func (t Transition) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("seq", t.Seq), slog.String("service", t.Service), slog.String("entry", t.Entry),
		slog.String("from", t.From.String()), slog.String("to", t.To.String()),
		slog.Bool("shadow", t.Shadow), slog.String("reason", t.Reason))
}

// Replay folds transitions, in order, into the states that they lead to from
// all closed. Entries that end closed are left out.
func Replay(log []Transition) map[string]State {
	states := map[string]State{}
	for _, t := range log {
		switch {
		case t.Shadow:
		case t.To == Closed:
			delete(states, t.Entry)
		default:
			states[t.Entry] = t.To
		}
	}
	return states
}

// Snapshot is the state of one breaker at one moment.
type Snapshot struct {
	Service  string        `json:"service"`
	State    State         `json:"state"`   // of the service entry
	Seq      uint64        `json:"seq"`     // transitions so far
	Entries  []EntryStatus `json:"entries"` // the service first, then the paths, parents before children; addresses
	Restarts int           `json:"restarts"`
	Stopped  bool          `json:"stopped,omitempty"`
	Settings Settings      `json:"settings"`
}

// EntryStatus is the state of one entry at one moment.
type EntryStatus struct {
	Entry     string    `json:"path"` // empty for the service itself; "@" and an address that is left out
	State     State     `json:"state"`
	Own       State     `json:"own"` // beneath an operator's state; else the same as State
	Failures  int       `json:"failures"`
	Successes int       `json:"successes"` // since the first of the failures, or in half-open
	Probes    int       `json:"probes"`    // calls in flight through a half-open entry
	Hanging   int       `json:"hanging"`   // calls in flight longer than hang_time
	Opens     int       `json:"opens"`     // times opened since it was last closed
	Ramp      float64   `json:"ramp"`      // share of calls admitted in a ramp; 0 outside one
	Until     time.Time `json:"until,omitzero"`
	Blamed    bool      `json:"blamed,omitempty"` // made a parent open again; takes the next failure alone
}
