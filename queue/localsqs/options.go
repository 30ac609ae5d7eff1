package localsqs

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// Option configures a Server. Bad values are reported by New, all at once.
type Option func(*config)

type config struct {
	path    string
	account string
	region  string
	clock   TimeSource
	logger  *slog.Logger
	strict  bool
	keys    map[string]string
	hosts   []string
	noFsync bool
	asAWS   bool
	seed    uint64
	tls     *tls.Config

	maxConnections int

	checkpointFrom int64 // of tests; 0: the store's
}

// TimeSource is the clock of a Server. AfterFunc runs f once after d in a
// goroutine of its own, as time.AfterFunc does, unless stop is called before.
type TimeSource interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) (stop func() bool)
}

// Path makes the server durable: its queues and messages live in this file,
// which is created if absent and locked while the server runs. Default: none,
// in memory.
func Path(file string) Option { return func(c *config) { c.path = file } }

// Clock replaces the time package's clock.
func Clock(ts TimeSource) Option { return func(c *config) { c.clock = ts } }

// Account is the twelve-digit account that queue URLs and ARNs name. Default
// "000000000000".
func Account(id string) Option { return func(c *config) { c.account = id } }

// Region is the region of requests that are not signed; a signed request's
// scope names its own. Default "us-east-1".
func Region(name string) Option { return func(c *config) { c.region = name } }

// Logger receives the server's records. Default: discarded.
func Logger(l *slog.Logger) Option { return func(c *config) { c.logger = l } }

// Strict adds AWS's waits that tests and development rather do without: a
// deleted queue's name is taken for 60 s (QueueDeletedRecently) and a queue can
// be purged once in 60 s (PurgeQueueInProgress).
func Strict() Option { return func(c *config) { c.strict = true } }

// AsAWS makes the server do what AWS does where it is kinder otherwise: standard
// queues deliver somewhat out of order, and one message in a hundred again within
// a second; a short poll (of no wait) finds some of the messages, or none; the
// counts among a queue's attributes are up to 30 s old; and a change of
// attributes takes effect after 60 s. Message groups of a standard queue are served by
// the rule of AWS's fair queues instead of by turns: the oldest first, and those that
// use more than a tenth of what is in flight, or of the recent processing time, last.
// A FIFO queue is looked through up to its first 120 000 messages. Stats and Peek
// stay exact. All is drawn by seed: the same calls at the same times give the same
// answers.
func AsAWS(seed uint64) Option { return func(c *config) { c.asAWS, c.seed = true, seed } }

// Credentials adds an access key. With at least one, every request over a
// socket must be signed (SigV4) with one of them; Listen needs one for an
// address off loopback. Requests of HTTPClient are in process and not checked.
func Credentials(accessKeyID, secret string) Option {
	return func(c *config) {
		if c.keys == nil {
			c.keys = map[string]string{}
		}
		c.keys[accessKeyID] = secret
	}
}

// Hosts names further hosts (no port) under which requests may address the
// server. Over a socket the Host header must be one of these, an IP address,
// localhost or the host given to Listen: this defends a developer's machine
// against DNS rebinding.
func Hosts(names ...string) Option {
	return func(c *config) { c.hosts = append(c.hosts, names...) }
}

// TLS makes Listen serve HTTPS with the certificates of c, by TLS 1.2 or later.
// Clients need a certificate that they trust: Go's take a bundle from
// SSL_CERT_FILE, AWS's command line from AWS_CA_BUNDLE.
func TLS(c *tls.Config) Option { return func(o *config) { o.tls = c } }

// MaxConnections is how many connections over sockets may be open at a time; one
// peer off loopback may have half of them. Further ones are closed at once. A long
// poll keeps its connection. Default 1024.
func MaxConnections(n int) Option { return func(c *config) { c.maxConnections = n } }

// NoFsync answers before data is safe on disk: a crash of the process loses
// nothing, one of the machine may. For tests that need a file and no safety.
func NoFsync() Option { return func(c *config) { c.noFsync = true } }
