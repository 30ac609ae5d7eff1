package localsqs

import (
	"context"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
)

const (
	contentType  = "application/x-amz-json-1.0"
	targetPrefix = "AmazonSQS."
	maxBody      = 8 << 20
	maxDiscard   = 64 << 20
)

// call is one request on its way through the server.
type call struct {
	ctx     context.Context
	op      string
	body    []byte
	host    string // of queue URLs, with the scheme
	region  string
	sender  string
	attempt string // names the call and its repetitions; empty if it is the first that may be repeated
	retry   bool
	trace   string // of a send: the request's trace header
	answer  []byte
	buffer  *[]byte // of the answer, to be kept; nil: it has another
	release func()  // gives the body's memory back, once it has been decoded; nil: nothing to give
}

// ServeHTTP serves the protocol, and the pages under /-/ for people and
// monitoring.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := s.checkHost(r.Host)
	if err == nil && strings.HasPrefix(r.URL.Path, "/-/") {
		s.serveLook(w, r)
		return
	}
	query := isQuery(r)
	var sig *signature
	if err == nil && query {
		err = s.checkPage(r)
	}
	if err == nil {
		signed := signedOfCalls
		if query {
			signed = signedOfPages
		}
		sig, err = s.authenticate(r, signed) // before memory is spent on a stranger's body
	}
	if err != nil {
		discard(w, r, refusedRead)
	}
	var body []byte
	release := func() {}
	if err == nil {
		body, release, err = s.receiveBody(w, r)
	}
	defer func() { release() }()
	if err == nil && sig != nil {
		err = sig.check(r, body)
	}
	var c call
	if err == nil {
		err = s.perform(&c, r, query, body, release)
	}
	defer s.answers.keep(c.buffer)
	p := newReply(query, c.op, newRequestID(), c.answer, err)
	h := w.Header()
	h.Set("x-amzn-RequestId", p.requestID)
	h.Set("Content-Type", p.contentType)
	if p.code != "" {
		h.Set("x-amzn-query-error", p.code)
	}
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body) // the client may have left
}

func queryError(err *engine.Error) string {
	if err.Sender() {
		return err.Code + ";Sender"
	}
	return err.Code + ";Receiver"
}

// readBody reads a body into memory, as much of it as comes.
func readBody(r *http.Request) ([]byte, *engine.Error) {
	if r.Body == nil {
		return nil, nil
	}
	if r.ContentLength > maxBody {
		return nil, bodyTooLarge()
	}
	var body []byte
	if r.ContentLength >= 0 {
		// Memory follows what has come, not what was announced.
		for n := int64(0); n < r.ContentLength; {
			body = append(body, make([]byte, min(r.ContentLength-n, max(n, firstRead)))...)
			if _, err := io.ReadFull(r.Body, body[n:]); err != nil {
				return nil, cutShort(err)
			}
			n = int64(len(body))
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, engine.InvalidParameterValue("The request's body cannot be read: %v.", err)
	}
	if len(body) > maxBody {
		return nil, bodyTooLarge()
	}
	return body, nil
}

func tooLarge(what string, most int) *engine.Error {
	return &engine.Error{Shape: "RequestEntityTooLarge", Code: "RequestEntityTooLarge",
		Status:  http.StatusRequestEntityTooLarge,
		Message: what + " may be at most " + strconv.Itoa(most) + " bytes long."}
}

func bodyTooLarge() *engine.Error { return tooLarge("A request's body", maxBody) }

// perform finds the operation and carries it out. c gets the answer. release, if not nil,
// gives back the body's memory.
func (s *Server) perform(c *call, r *http.Request, query bool, body []byte, release func()) (err *engine.Error) {
	if query {
		c.op, body, err = queryCall(r, body)
	} else {
		c.op, err = target(r)
	}
	if err != nil {
		return err
	}
	c.ctx, c.body, c.release, c.host, c.region, c.sender = r.Context(), body, release, "http://"+r.Host, s.cfg.region,
		s.cfg.account
	if r.TLS != nil {
		c.host = "https://" + r.Host
	}
	c.scope(r)
	err = operations[c.op](s, c)
	s.metrics.count(c.op, err)
	return err
}

// target is the operation of a request of the JSON protocol.
func target(r *http.Request) (string, *engine.Error) {
	if r.Method != http.MethodPost {
		return "", &engine.Error{Shape: "UnsupportedOperation", Code: "AWS.SimpleQueueService.UnsupportedOperation",
			Status:  http.StatusMethodNotAllowed,
			Message: "The protocol is POST with the header X-Amz-Target; the method was " + r.Method + "."}
	}
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), targetPrefix)
	if !ok || operations[op] == nil {
		return "", unknownTarget(r.Header.Get("X-Amz-Target"))
	}
	if ct := r.Header.Get("Content-Type"); ct != contentType {
		if media, _, err := mime.ParseMediaType(ct); err != nil || media != contentType {
			return "", engine.InvalidParameterValue("The header Content-Type must be %s; it was %q.", contentType, ct)
		}
	}
	return op, nil
}

func unknownTarget(target string) *engine.Error {
	if target == "" {
		return engine.UnsupportedOperation("The request has no X-Amz-Target header; it should be %s and the name "+
			"of an operation.", targetPrefix)
	}
	return engine.UnsupportedOperation("The operation %s is not one of SQS.", target)
}

// keyForm is an access key id (IAM: 16 to 128 word characters; here a shorter
// one will do, and - and . too).
var keyForm = regexp.MustCompile(`^[\w.-]{1,128}$`)

// maxInvocationID is more than any SDK's, which are UUIDs.
const maxInvocationID = 128

// maxTrace is more than any trace header's length (X-Ray: some 100 characters).
const maxTrace = 1024

// scope reads what the headers say of the caller: access key and region, and
// which attempt this is.
func (c *call) scope(r *http.Request) {
	h := r.Header
	_, credential, ok := strings.Cut(h.Get("Authorization"), "Credential=")
	if !ok && r.URL.RawQuery != "" {
		params, _ := parameters(r.URL.RawQuery) // what cannot be read has been refused
		credential = params.Get("X-Amz-Credential")
		ok = credential != ""
	}
	if ok {
		if p := strings.SplitN(credential, "/", 4); len(p) == 4 && regionForm.MatchString(p[2]) {
			c.region = p[2]
			if keyForm.MatchString(p[0]) { // it is kept with each message and given to receivers
				c.sender = p[0]
			}
		}
	}
	if v := h["X-Amzn-Trace-Id"]; len(v) == 1 && len(v[0]) <= maxTrace && strings.Contains(v[0], "Root=") {
		c.trace = v[0]
	}
	if id := h["Amz-Sdk-Invocation-Id"]; len(id) == 1 && len(id[0]) <= maxInvocationID {
		c.attempt = id[0]
		attempt, _, _ := strings.Cut(h.Get("Amz-Sdk-Request"), ";")
		c.retry = attempt != "attempt=1"
	}
}
