package server

import (
	"encoding/binary"
	"math/rand/v2"
	"net/http"
	"sync"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// DefaultIDHeader is the header that a request id comes in and goes out by.
const DefaultIDHeader = "X-Request-Id"

// MaxID is the longest request id that is taken from a caller, in bytes. The ids in
// use are shorter: a UUID has 36, a trace id 32, an id of AWS's load balancer 35.
const MaxID = 128

// ValidID reports whether s may be a request id: 1 to [MaxID] letters, digits and
// "-_.:/+=@~" of ASCII. It has no character that ends a line, a header, a quoted
// string or an SQS attribute, and none that changes the direction of text.
func ValidID(s string) bool {
	if len(s) == 0 || len(s) > MaxID {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !idByte[s[i]] {
			return false
		}
	}
	return true
}

// idByte holds the bytes of a request id.
var idByte = func() (t [256]bool) {
	for _, c := range "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:/+=@~" {
		t[c] = true
	}
	return t
}()

// requestID returns the id of a request: of its header, else of its trace, else a new
// one. A header that is not valid counts as absent: to cut it could make two ids one.
func requestID(header http.Header, name string, sc trace.SpanContext, ids *idSource) string {
	if values := header[name]; len(values) == 1 && ValidID(values[0]) {
		return values[0]
	}
	if sc.IsValid() {
		return sc.TraceID().String()
	}
	return ids.next()
}

// traceOf returns the trace context of the W3C headers traceparent and tracestate;
// what is malformed counts as absent.
func traceOf(header http.Header) trace.SpanContext {
	if len(header["Traceparent"]) != 1 || len(header["Traceparent"][0]) > MaxID {
		return trace.SpanContext{}
	}
	ctx := propagation.TraceContext{}.Extract(noParent, propagation.HeaderCarrier(header))
	return trace.SpanContextFromContext(ctx)
}

const (
	idLength = 32 // hex digits of 16 random bytes, the form of a trace id
	idBatch  = 32 // ids that are made at once
)

// idSource makes request ids. It makes many at once, as parts of one string: an id
// then costs no allocation of its own. The random numbers are the runtime's (ChaCha8,
// seeded by the system): an id is a name, not a secret, and must only be unlike others.
type idSource struct{ batches sync.Pool }

// batch is a string of ids, and how far it is used.
type batch struct {
	ids  string
	used int
}

func (s *idSource) next() string {
	b, _ := s.batches.Get().(*batch)
	if b == nil {
		b = &batch{}
	}
	if b.used == len(b.ids) {
		var digits [idBatch * idLength]byte
		for i := 0; i < len(digits); i += 16 {
			v := rand.Uint64()
			binary.LittleEndian.PutUint64(digits[i:], hexDigits(uint32(v)))
			binary.LittleEndian.PutUint64(digits[i+8:], hexDigits(uint32(v>>32)))
		}
		b.ids, b.used = string(digits[:]), 0
	}
	id := b.ids[b.used : b.used+idLength]
	b.used += idLength
	s.batches.Put(b)
	return id
}

// hexDigits returns the eight hex digits of v, one a byte.
func hexDigits(v uint32) uint64 {
	const ones = 0x0101010101010101
	// Each half byte gets a byte of its own,
	d := uint64(v)
	d = (d | d<<16) & 0x0000ffff0000ffff
	d = (d | d<<8) & 0x00ff00ff00ff00ff
	d = (d | d<<4) & 0x0f0f0f0f0f0f0f0f
	// and each that is above 9 carries into bit 4 when 6 is added.
	letters := (d + ones*6) >> 4 & ones
	return d + ones*'0' + letters*('a'-'0'-10)
}
