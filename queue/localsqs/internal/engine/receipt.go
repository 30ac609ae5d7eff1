package engine

import (
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
)

// A receipt handle names a queue, a message and which of its receives it was,
// with a checksum over these and the server's salt.
const receiptSize = 8 + 8 + 4 + 4

// receiptChars is the length of a handle.
const receiptChars = receiptSize * 4 / 3

func (e *Engine) receiptSum(b []byte) uint32 {
	return crc32.ChecksumIEEE(b[:receiptSize-4]) ^ uint32(e.cfg.Salt) ^ uint32(e.cfg.Salt>>32)
}

// AppendReceipt appends r's receipt handle.
func (e *Engine) AppendReceipt(dst []byte, r *Received) []byte {
	var b [receiptSize]byte
	binary.BigEndian.PutUint64(b[0:], uint64(r.Queue))
	binary.BigEndian.PutUint64(b[8:], r.Seq)
	binary.BigEndian.PutUint32(b[16:], r.Receives)
	binary.BigEndian.PutUint32(b[20:], e.receiptSum(b[:]))
	return base64.URLEncoding.AppendEncode(dst, b[:])
}

type receipt struct {
	seq      uint64
	receives uint32
}

func (e *Engine) parseReceipt(q *Queue, handle string) (receipt, *Error) {
	var b [receiptSize]byte
	if len(handle) != receiptChars {
		return receipt{}, invalidReceipt(handle)
	}
	if n, err := base64.URLEncoding.Decode(b[:], []byte(handle)); err != nil || n != receiptSize ||
		binary.BigEndian.Uint32(b[20:]) != e.receiptSum(b[:]) || int64(binary.BigEndian.Uint64(b[0:])) != q.ID {
		return receipt{}, invalidReceipt(handle)
	}
	return receipt{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint32(b[16:])}, nil
}

// Delete removes the message of a receipt handle. On a standard queue the
// handle of any of its receives will do, and one that is gone is a success; on
// a FIFO queue the handle must be the latest and the message in flight.
func (e *Engine) Delete(q *Queue, handle string) *Error {
	r, err := e.parseReceipt(q, handle)
	if err != nil {
		return err
	}
	m := q.handled[r.seq]
	if m == nil {
		return nil
	}
	if q.attrs.fifo && (m.state != inFlight || m.receives != r.receives) {
		return expiredReceipt(handle)
	}
	e.remove(m)
	e.recordGone(q, m.Seq)
	return nil
}

// ChangeVisibility sets how long a message in flight stays invisible from now
// on; 0 makes it visible at once. On a standard queue the handle of any of its
// receives will do, and a message that is visible again stays so without an
// error; on a FIFO queue the handle must be the latest and the message in flight.
func (e *Engine) ChangeVisibility(now int64, q *Queue, handle string, timeout int64) *Error {
	if timeout < 0 || timeout > MaxVisibility {
		return InvalidParameter(timeout, "VisibilityTimeout", "Must be between 0 and 43200.")
	}
	r, err := e.parseReceipt(q, handle)
	if err != nil {
		return err
	}
	m := q.handled[r.seq]
	switch {
	case m == nil:
		return goneReceipt(handle)
	case m.state == inFlight && (m.receives == r.receives || !q.attrs.fifo):
	case !q.attrs.fifo:
		return nil
	case m.receives != r.receives:
		return expiredReceipt(handle)
	default:
		return notInflight()
	}
	due := now + timeout*second
	if due > m.received+MaxVisibility*second {
		return InvalidParameter(timeout, "VisibilityTimeout",
			"Total VisibilityTimeout for the message is beyond the limit [43200 seconds].")
	}
	e.timers.heap.remove(m.pos)
	if timeout == 0 {
		due = 0 // visible, whatever the clock says after a restart
		e.release(m)
	} else {
		e.timers.heap.push(due, m.Seq, m)
	}
	e.recordMeta(m, due)
	return nil
}
