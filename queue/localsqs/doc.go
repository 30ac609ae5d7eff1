// Package localsqs is Amazon SQS in a box: a queue service that speaks the
// AWS JSON 1.0 protocol of SQS and the query protocol of SDKs from before
// November 2023, embedded in a Go program (no socket), as a server (any SDK in
// any language), in memory or durable in one file.
//
//	srv, err := localsqs.New(localsqs.Path("queue.db")) // no Path: in memory
//	if err != nil {
//		return err
//	}
//	defer srv.Close()
//	client := sqs.New(sqs.Options{
//		Region:       "us-east-1",
//		BaseEndpoint: aws.String("http://localsqs.internal"),
//		Credentials:  credentials.NewStaticCredentialsProvider("local", "local", ""),
//		HTTPClient:   srv.HTTPClient(), // calls the server in process
//	})
//
// For other processes call [Server.Listen] and give its URL to their SDK as
// the endpoint (AWS_ENDPOINT_URL_SQS).
//
// # Surface
//
//	New(opts ...Option) (*Server, error)   // Path, Clock, Account, Region, Logger, Strict, Credentials, Hosts, TLS, MaxConnections, AsAWS, NoFsync
//	(*Server).HTTPClient() *http.Client    // in process; a cancelled ctx and Close end a long poll
//	WithRecall(ctx, recall) context.Context // of a long poll in process that can be answered early
//	(*Server).ServeHTTP(w, r)
//	(*Server).Listen(addr) (url, err)      // loopback, or anywhere with Credentials
//	(*Server).Shutdown(ctx) error          // ends long polls, waits for calls under way, flushes, unlocks
//	(*Server).Close() error                // the same without waiting for calls over sockets
//	(*Server).Stats() Stats
//	(*Server).Health() error
//	(*Server).Peek(queue, max) ([]Peeked, error)
//
// # Who owns which state
//
// All queues and messages are owned by one engine (internal/engine), pure
// code without clock, goroutine or I/O: an operation is a call with the time
// of day. The Server holds the engine's lock for the length of one operation,
// a few microseconds; decoding, hashing and encoding happen outside it. With
// Path a single committer goroutine owns the file's journal (internal/store);
// it writes what the engine recorded since its last turn with one fsync and then
// answers all operations of that group. A second one takes the journal into the
// file from time to time.
//
// One timer serves everything that waits for time: visibility and delay ends,
// long polls, retention, deduplication windows, message moves.
//
// # Goroutines
//
// All methods of Server are safe from several goroutines. In memory the server
// starts no goroutine of its own: it works inside a testing/synctest bubble,
// where its clock is the bubble's. With Path it has two, for the journal and
// the file, which end in Close. Listen adds those of net/http, which end in Close as well.
//
// # Strangers
//
// A server that others can reach is bounded: bodies above 64 KiB share 16 MiB and
// must come in time, [MaxConnections] bounds connections, headers take 16 KiB. With
// [Credentials] every call is signed, and so is every look but the health; the
// headers are checked before a body is read, the signature once it is there.
// Without, a request of the query protocol must have some Authorization header,
// which no page in a browser can send unasked.
//
// # Durability
//
// While a server runs, its latest changes are in a journal of two more files
// (.journal-0, .journal-1): a copy for safekeeping needs all three, and
// Close leaves one. Whatever changes something is answered after the fsync of its group,
// except a receive, which rides along with the next one without being waited for:
// after a crash its messages may be seen early, never lost.
//
// # Debugging
//
// Stats is a JSON-able snapshot with the depth, the messages in flight and the
// age of the oldest of each queue; Peek looks at messages without receiving
// them; Health says whether the store takes writes. Over HTTP (Listen) the same
// are GET /-/stats, /-/health, /-/metrics (Prometheus text) and
// /-/peek?queue=NAME.
//
// # Testing with it
//
// There is nothing to mock: make a server in memory in the test, inside
// synctest.Test if time matters, and use the ordinary sqs.Client.
package localsqs
