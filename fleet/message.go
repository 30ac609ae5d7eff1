package fleet

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sambatech/chassis/fleet/internal/register"
	"github.com/sambatech/chassis/fleet/internal/share"
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
	return &m, nil
}
