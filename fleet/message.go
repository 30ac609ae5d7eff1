package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/sambatech/chassis/actors/addresses"
	"github.com/sambatech/chassis/fleet/internal/carry"
	"github.com/sambatech/chassis/fleet/internal/register"
	"github.com/sambatech/chassis/fleet/internal/share"
	"github.com/sambatech/chassis/task"
)

// Bounds of what comes from the network, in bytes.
const (
	maxPacket = 1300    // of one message to one member, so that it fits into a packet
	maxState  = 4 << 20 // of all that a member knows
)

// message is what members send each other. A member of another version leaves out what
// it does not know.
type message struct {
	Words  []register.Word `json:"w,omitempty"`
	Demand *share.Demand   `json:"d,omitempty"`
	Digest *Digest         `json:"g,omitempty"`
	Orders *orders         `json:"o,omitempty"`
	Taken  *answers        `json:"a,omitempty"`
}

// encode returns the bytes of a message to one member.
func (m *message) encode() ([]byte, error) {
	b, err := json.Marshal(m)
	if err == nil && len(b) > maxPacket {
		err = fmt.Errorf("a message of %d bytes, at most %d", len(b), maxPacket)
	}
	return b, err
}

// decode reads what has come from the network. What is too long, or no message, is an
// error; words that are wrong are left out.
func decode(b []byte, limit int) (*message, error) {
	if len(b) > limit {
		return nil, fmt.Errorf("a message of %d bytes, at most %d", len(b), limit)
	}
	var m message
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if len(m.Words) > register.MaxWords {
		return nil, errors.New("a message of too many words")
	}
	kept := m.Words[:0]
	for _, w := range m.Words {
		if w.Check() == nil {
			kept = append(kept, w)
		}
	}
	m.Words = kept
	if m.Demand != nil && m.Demand.Check() != nil {
		m.Demand = nil
	}
	if m.Digest != nil && !m.Digest.fits() {
		m.Digest = nil
	}
	if m.Orders != nil && !m.Orders.fit() {
		m.Orders = nil
	}
	if m.Taken != nil && !m.Taken.fit() {
		m.Taken = nil
	}
	return &m, nil
}

// orders are notices that one member brings to another, and answers what became of them there.
type (
	orders struct {
		Member string  `json:"m"` // that brings them, and gets the answer
		List   []order `json:"l"`
	}
	order struct {
		Number uint64      `json:"n"` // of the member that brings it
		Notice task.Notice `json:"x"`
	}
	answers struct {
		Member string   `json:"m"`
		List   []answer `json:"l"`
	}
	answer struct {
		Number uint64 `json:"n"`
		Found  int    `json:"f,omitempty"` // executions
		Failed bool   `json:"e,omitempty"` // it was not taken
	}
)

// fit reports whether orders that have come from somewhere else are within bounds.
func (o *orders) fit() bool {
	return isMember(o.Member) && len(o.List) <= carry.MaxOrders &&
		!slices.ContainsFunc(o.List, func(one order) bool { return !addresses.Sound(one.Notice) })
}

func (a *answers) fit() bool { return isMember(a.Member) && len(a.List) <= carry.MaxOrders }

func isMember(name string) bool { return name != "" && len(name) <= register.MaxName }
