package localsqs

import (
	"bytes"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/sambatech/chassis/queue/localsqs/internal/engine"
	"github.com/sambatech/chassis/queue/localsqs/internal/wire"
)

const (
	formType   = "application/x-www-form-urlencoded"
	xmlType    = "text/xml"
	mostParams = 5000    // parameters of a query request; a full batch has some 700
	mostForm   = 3 << 20 // bytes of a form without its escapes; a message or batch has 1 MiB
)

// isQuery reports whether a request speaks the query protocol: a form, or an
// Action in the URL of a GET or POST.
func isQuery(r *http.Request) bool {
	if len(r.Header["X-Amz-Target"]) > 0 {
		return false
	}
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return false
	}
	if strings.Contains(r.URL.RawQuery, "Action=") {
		return true
	}
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return r.Method == http.MethodPost && err == nil && media == formType
}

// checkPage refuses query requests that a page in a browser can make, on a
// server without credentials: a form needs no preflight, and a link none either.
// No page can set the header Authorization unasked.
func (s *Server) checkPage(r *http.Request) *engine.Error {
	if len(s.cfg.keys) > 0 || strings.HasPrefix(r.Header.Get("Authorization"), sigAlgorithm+" ") &&
		r.Header.Get("Origin") == "" {
		return nil
	}
	return forbidden("MissingAuthenticationToken",
		"A request of the query protocol must have the header Authorization of Signature Version 4, with any key "+
			"where the server has no credentials.")
}

// queryCall makes the operation and JSON body of a query request.
func queryCall(r *http.Request, body []byte) (op string, asJSON []byte, err *engine.Error) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		if bytes.Count(body, []byte("&")) > mostParams {
			return "", nil, engine.InvalidParameterValue("The request has more than %d parameters.", mostParams)
		}
		if len(body)-2*bytes.Count(body, []byte("%")) > mostForm {
			return "", nil, tooLarge("A request's parameters", mostForm)
		}
		text = string(body)
		if r.URL.RawQuery != "" {
			text += "&" + r.URL.RawQuery // the body goes first, and the first of a name counts
		}
	}
	params, failed := parameters(text)
	if failed != nil {
		return "", nil, engine.InvalidParameterValue("The parameters cannot be read: %v.", failed)
	}
	op = params.Get("Action")
	if op == "" {
		return "", nil, &engine.Error{Shape: "MissingAction", Code: "MissingAction", Status: http.StatusBadRequest,
			Message: "The request must contain the parameter Action."}
	}
	if operations[op] == nil {
		return "", nil, &engine.Error{Shape: "InvalidAction", Code: "InvalidAction", Status: http.StatusBadRequest,
			Message: "The action " + op + " is not valid for this endpoint."}
	}
	if !params.Has("QueueUrl") && strings.Count(r.URL.Path, "/") >= 2 {
		params.Set("QueueUrl", r.URL.Path) // as it was before there was the parameter
	}
	asJSON, err = wire.QueryRequest(op, params)
	return op, asJSON, err
}

// parameters reads a query or a form. A semicolon is a letter like others, as
// with AWS.
func parameters(text string) (url.Values, error) {
	return url.ParseQuery(strings.ReplaceAll(text, ";", "%3B"))
}

// reply is an answer or a refusal in the words of its protocol.
type reply struct {
	status            int
	requestID         string
	contentType, code string // code: of a refusal
	body              []byte
}

func newReply(query bool, op, requestID string, answer []byte, err *engine.Error) *reply {
	p := &reply{status: http.StatusOK, requestID: requestID, contentType: contentType, body: answer}
	if query && err == nil {
		var failed error
		if p.body, failed = wire.QueryAnswer(op, answer, requestID); failed != nil {
			err = &engine.Error{Shape: "InternalFailure", Code: "InternalFailure",
				Status: http.StatusInternalServerError, Message: failed.Error()}
		}
	}
	if query {
		p.contentType = xmlType
	}
	if err != nil {
		p.status, p.code = err.Status, queryError(err)
		if query {
			p.body = wire.QueryError(err, requestID)
		} else {
			p.body = wire.AppendError(nil, err)
		}
	}
	return p
}
