package breaker_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Frames of HTTP/2 (RFC 9113, section 6), as the servers of tests send them.
const (
	frameData       = 0x0
	frameHeaders    = 0x1
	frameReset      = 0x3
	frameSettings   = 0x4
	framePing       = 0x6
	frameGoAway     = 0x7
	flagAck         = 0x1
	flagEndStream   = 0x1
	flagEndHeaders  = 0x4
	prefaceLength   = 24
	frameHead       = 9
	codeNo          = 0x0
	codeInternal    = 0x2
	codeRefused     = 0x7
	codeCancel      = 0x8
	codeEnhanceCalm = 0xb
)

// Field blocks of HPACK (RFC 7541, appendix A).
var (
	status200 = []byte{0x88}                              // :status 200
	status103 = []byte{0x08, 0x03, '1', '0', '3'}         // :status 103
	trailer   = []byte{0x00, 0x03, 's', 'u', 'm', 1, '4'} // sum: 4
)

// h2conn is the server's end of a connection, which sends what frames a test likes.
type h2conn struct {
	net.Conn
	mu sync.Mutex
}

func (c *h2conn) frame(kind, flags byte, stream uint32, payload ...byte) {
	b := make([]byte, frameHead, frameHead+len(payload))
	binary.BigEndian.PutUint32(b, uint32(len(payload))<<8|uint32(kind))
	b[4] = flags
	binary.BigEndian.PutUint32(b[5:], stream)
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = c.Write(append(b, payload...))
}

func (c *h2conn) reset(stream, code uint32) {
	c.frame(frameReset, 0, stream, binary.BigEndian.AppendUint32(nil, code)...)
}

func (c *h2conn) goAway(last, code uint32) {
	c.frame(frameGoAway, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, last), code)...)
}

// answer sends a whole answer of 200.
func (c *h2conn) answer(stream uint32) {
	c.frame(frameHeaders, flagEndHeaders, stream, status200...)
	c.frame(frameData, flagEndStream, stream, []byte("sent")...)
}

// scripted is a server of HTTP/2 that answers each request by a script.
type scripted struct {
	requests atomic.Int32
}

// serveFrames starts a server that calls script at the headers of each request, on the
// goroutine that reads the connection. Settings and pings are acknowledged.
func serveFrames(t *testing.T, script func(c *h2conn, stream uint32)) (*scripted, *http.Transport) {
	t.Helper()
	s := &scripted{}
	l := &memoryListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c := &h2conn{Conn: conn}
			all.Go(func() {
				defer func() { _ = c.Close() }()
				s.serve(c, script)
			})
			t.Cleanup(func() { _ = c.Close() })
		}
	})
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: &p, DialContext: l.dial}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		_ = l.Close()
		time.Sleep(time.Minute) // of the bubble: every goroutine must have ended
	})
	return s, tr
}

func (s *scripted) serve(c *h2conn, script func(c *h2conn, stream uint32)) {
	if _, err := io.ReadFull(c, make([]byte, prefaceLength)); err != nil {
		return
	}
	c.frame(frameSettings, 0, 0)
	head := make([]byte, frameHead)
	for {
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		payload := make([]byte, binary.BigEndian.Uint32(head)>>8)
		if _, err := io.ReadFull(c, payload); err != nil {
			return
		}
		switch stream := binary.BigEndian.Uint32(head[5:]); head[3] {
		case frameSettings:
			if head[4]&flagAck == 0 {
				c.frame(frameSettings, flagAck, 0)
			}
		case framePing:
			if head[4]&flagAck == 0 {
				c.frame(framePing, flagAck, 0, payload...)
			}
		case frameHeaders:
			s.requests.Add(1)
			script(c, stream)
		}
	}
}
