package register

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Key names an entry of a breaker.
type Key struct {
	Service string // scheme://host[:port]
	Entry   string // path prefix; empty for the service itself
}

// Kind is what a word says.
type Kind uint8

const (
	Bad     Kind = 1 // the entry has tripped
	Probing Kind = 2 // it has tripped, and a probe is in flight
	Good    Kind = 3 // it works, or its member says no more that it does not
)

// Word is the last state of one entry in one member.
type Word struct {
	Member      string `json:"m"`
	Incarnation int64  `json:"i"` // of the member; a higher one is newer
	Version     uint64 `json:"v"` // of the word, within the incarnation
	Service     string `json:"s"`
	Entry       string `json:"e,omitempty"`
	Kind        Kind   `json:"k"`
	Round       uint64 `json:"r,omitempty"`
	Closed      uint64 `json:"c,omitempty"` // highest round that the member knows to be closed
	Left        int64  `json:"l,omitempty"` // ms of the open time that are left
	Life        int64  `json:"t,omitempty"` // ms after which the word lapses
}

// Key returns the entry that the word is of.
func (w *Word) Key() Key { return Key{w.Service, w.Entry} }

// Bounds of a word from a stranger.
const (
	MaxName = 128 // bytes of a member's name
	maxKey  = 700 // bytes of service and entry, so that a word fits into a packet
	maxStep = 1 << 40
	maxLeft = 10 * time.Minute
)

// Check returns what is wrong with a word that has come from somewhere else.
func (w *Word) Check() error {
	switch {
	case w.Member == "" || len(w.Member) > MaxName || !plain(w.Member):
		return fmt.Errorf("the name of the member is empty, not printable or longer than %d bytes", MaxName)
	case w.Service == "" || len(w.Service)+len(w.Entry) > maxKey || !plain(w.Service) || !plain(w.Entry):
		return fmt.Errorf("the entry is empty, not printable or longer than %d bytes", maxKey)
	case w.Entry != "" && (w.Entry[0] != '/' || strings.HasSuffix(w.Entry, "/")):
		return fmt.Errorf("the path of the entry does not begin with a slash, or ends with one")
	case w.Kind < Bad || w.Kind > Good:
		return fmt.Errorf("kind %d is not known here", w.Kind)
	case w.Kind != Good && w.Round == 0:
		return fmt.Errorf("a word of kind %d has no round", w.Kind)
	case w.Round > maxStep || w.Closed > maxStep || w.Version > maxStep || w.Incarnation < 0:
		return fmt.Errorf("a number of the word is out of range")
	case w.Left < 0 || w.Life < 0:
		return fmt.Errorf("a time of the word is below zero")
	}
	return nil
}

// plain reports whether a text of a stranger is valid UTF-8 without control characters.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// Fits reports whether words on an entry are short enough to be sent.
func (k Key) Fits() bool {
	return len(k.Service)+len(k.Entry) <= maxKey && plain(k.Service) && plain(k.Entry)
}

// ms returns a time of a word, at most limit.
func ms(n int64, limit time.Duration) time.Duration {
	if n >= int64(limit/time.Millisecond) {
		return limit
	}
	return time.Duration(n) * time.Millisecond
}

// toMS returns a time as a word has it: rounded up, and never below zero.
func toMS(d time.Duration) int64 {
	return max(0, int64((d+time.Millisecond-1)/time.Millisecond))
}
