package settings

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// ByteSize is a number of bytes. It is written as a bare number or with a
// unit: B, kB MB GB TB PB (powers of 1000; k M G T P too), KiB MiB GiB TiB PiB
// (powers of 1024; Ki Mi Gi Ti Pi too). A fraction is allowed if the result is
// whole: 1.5GiB.
type ByteSize int64

// Powers of 1024.
const (
	KiB ByteSize = 1 << (10 * (iota + 1))
	MiB
	GiB
	TiB
	PiB
)

var byteUnits = []struct {
	name string
	size ByteSize
}{
	{"PiB", PiB}, {"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB},
	{"PB", 1e15}, {"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3},
}

// ParseByteSize reads the form that [ByteSize] tells of, with or without a
// blank before the unit and in any case.
func ParseByteSize(s string) (ByteSize, error) {
	text := s
	end := len(text)
	for end > 0 && (text[end-1] < '0' || text[end-1] > '9') && text[end-1] != '.' {
		end--
	}
	unit, ok := byteUnit(strings.TrimLeft(text[end:], " "))
	if !ok || !isDecimal(text[:end]) {
		return 0, errors.New("expected a number and a unit such as kB, MiB, GiB")
	}
	if n, err := strconv.ParseInt(text[:end], 10, 64); err == nil {
		if n > math.MaxInt64/int64(unit) || n < math.MinInt64/int64(unit) {
			return 0, errors.New("more bytes than an int64 can count")
		}
		return ByteSize(n) * unit, nil
	}
	var r *big.Rat // exact: 1.005kB is 1005 bytes
	if len(text) < 100 {
		r, _ = new(big.Rat).SetString(text[:end])
	}
	if r == nil {
		return 0, errors.New("expected a number and a unit such as kB, MiB, GiB")
	}
	switch r.Mul(r, new(big.Rat).SetInt64(int64(unit))); {
	case !r.IsInt():
		return 0, errors.New("expected a whole number of bytes")
	case !r.Num().IsInt64():
		return 0, errors.New("more bytes than an int64 can count")
	}
	return ByteSize(r.Num().Int64()), nil
}

func byteUnit(s string) (ByteSize, bool) {
	if s == "" || strings.EqualFold(s, "b") {
		return 1, true
	}
	for _, u := range byteUnits {
		if strings.EqualFold(s, u.name) || strings.EqualFold(s, strings.TrimSuffix(u.name, "B")) {
			return u.size, true
		}
	}
	return 0, false
}

// String is the number with the largest unit that leaves it whole.
func (b ByteSize) String() string {
	if b != 0 {
		for _, u := range byteUnits {
			if b%u.size == 0 {
				return strconv.FormatInt(int64(b/u.size), 10) + u.name
			}
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText is String.
func (b ByteSize) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText is ParseByteSize.
func (b *ByteSize) UnmarshalText(text []byte) error {
	v, err := ParseByteSize(string(text))
	if err == nil {
		*b = v
	}
	return err
}
