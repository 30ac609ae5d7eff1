package flow

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// shardSize is the number of members in one message group: a bitmap of 1 kB.
const shardSize = 8192

// set is a set of members of one shard, by their number in it.
type set [shardSize / 64]uint64

func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

func (s *set) union(o *set) {
	for i := range s {
		s[i] |= o[i]
	}
}

// minus takes the members of o out.
func (s *set) minus(o *set) {
	for i := range s {
		s[i] &^= o[i]
	}
}

func (s *set) count() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

// below returns how many members are smaller than n.
func (s *set) below(n int) (c int) {
	for i, w := range s {
		switch {
		case (i+1)*64 <= n:
			c += bits.OnesCount64(w)
		case i*64 < n:
			c += bits.OnesCount64(w & (1<<(n-i*64) - 1))
		}
	}
	return c
}

// first returns the smallest members, at most so many.
func (s *set) first(most int) (list []int) {
	for i, w := range s {
		for ; w != 0 && len(list) < most; w &= w - 1 {
			list = append(list, i*64+bits.TrailingZeros64(w))
		}
	}
	return list
}

// MarshalText writes a set as runs or as a bitmap, whichever is shorter.
func (s set) MarshalText() ([]byte, error) {
	var runs []byte
	at := 0 // end of the last run
	for i := 0; i < shardSize && len(runs) < shardSize/8; {
		if w := s[i/64] >> (i % 64); w == 0 {
			i += 64 - i%64
			continue
		} else {
			i += bits.TrailingZeros64(w)
		}
		end := i
		for end < shardSize && s.has(end) {
			end++
		}
		runs = binary.AppendUvarint(binary.AppendUvarint(runs, uint64(i-at)), uint64(end-i))
		at, i = end, end
	}
	form, raw := byte('r'), runs
	if len(runs) >= shardSize/8 {
		form, raw = 'b', make([]byte, 0, shardSize/8)
		for _, w := range s {
			raw = binary.LittleEndian.AppendUint64(raw, w)
		}
	}
	return base64.RawStdEncoding.AppendEncode([]byte{form}, raw), nil
}

var errSet = errors.New("not a set of members")

// UnmarshalText reads what MarshalText has written.
func (s *set) UnmarshalText(text []byte) error {
	*s = set{}
	if len(text) == 0 || len(text) > 2*shardSize/8 {
		return fmt.Errorf("%w: %d bytes", errSet, len(text))
	}
	raw, err := base64.RawStdEncoding.AppendDecode(nil, text[1:])
	if err != nil {
		return fmt.Errorf("%w: %w", errSet, err)
	}
	switch text[0] {
	case 'b':
		if len(raw) != shardSize/8 {
			return fmt.Errorf("%w: a bitmap of %d bytes", errSet, len(raw))
		}
		for i := range s {
			s[i] = binary.LittleEndian.Uint64(raw[i*8:])
		}
	case 'r':
		for at := uint64(0); len(raw) > 0; {
			gap, n := binary.Uvarint(raw)
			if n <= 0 {
				return errSet
			}
			run, m := binary.Uvarint(raw[n:])
			if m <= 0 || gap > shardSize || run > shardSize || at+gap+run > shardSize {
				return errSet
			}
			for at += gap; run > 0; run-- {
				s.add(int(at))
				at++
			}
			raw = raw[n+m:]
		}
	default:
		return fmt.Errorf("%w: form %q", errSet, text[0])
	}
	return nil
}
