// Package awsserver is a server for tests that speaks the protocols of SSM, Secrets Manager and AppConfig: AWS JSON
// 1.1, and REST for AppConfig. It is strict: what AWS refuses, it refuses. It runs in the process, so that its time
// is that of a testing/synctest bubble.
//
// The tests run the parts that moto has against moto as well, which is where its answers were compared.
package awsserver

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Region of the server, and the account in its ARNs.
const (
	Region  = "eu-central-1"
	Account = "123456789012"
)

// Server holds parameters, secrets and configurations. It is an HTTP client, and a handler.
type Server struct {
	mu         sync.Mutex
	parameters map[string]*parameter
	secrets    map[string]*secret
	configs    map[string]*config
	tokens     map[string]*token
	serial     int
	calls      []string
	problems   []string
	refused    map[string]bool // "action resource"
	throttled  int
	hanging    bool
	delay      time.Duration
	broken     error
}

// New returns an empty server.
func New() *Server {
	return &Server{parameters: map[string]*parameter{}, secrets: map[string]*secret{}, configs: map[string]*config{},
		tokens: map[string]*token{}, refused: map[string]bool{}}
}

// Config returns an AWS configuration that leads to the server.
func (s *Server) Config() aws.Config {
	return aws.Config{Region: Region, HTTPClient: s,
		Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "key", "")}
}

// Calls returns the actions that were asked for since the last time, like ssm:GetParameters.
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// Problems lists the requests that break the protocol.
func (s *Server) Problems() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.problems)
}

// Refuse refuses an action on a resource: a parameter's name, a secret's name, or a configuration.
func (s *Server) Refuse(action, resource string, refuse bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused[action+" "+resource] = refuse
}

// Throttle refuses the next n requests, for there are too many.
func (s *Server) Throttle(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throttled = n
}

// Hang lets requests wait until their ctx ends.
func (s *Server) Hang(hang bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hanging = hang
}

// Delay lets each request take d.
func (s *Server) Delay(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.delay = d
}

// Break lets requests fail without an answer; nil ends it.
func (s *Server) Break(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = err
}

// Do answers a request in the process.
func (s *Server) Do(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	hanging, broken, delay := s.hanging, s.broken, s.delay
	s.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-r.Context().Done():
	}
	if hanging {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if broken != nil {
		return nil, broken
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	out := w.Result()
	out.Request = r
	return out, nil
}

// failure is an answer that is an error of AWS.
type failure struct {
	status  int
	code    string
	message string
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	service, call := s.route(r, body)
	if call == nil {
		s.problem("not a request of AWS: %s %s %s", r.Method, r.URL, r.Header.Get("X-Amz-Target"))
		fail(w, &failure{400, "UnknownOperationException", ""})
		return
	}
	scope := "/" + Region + "/" + service + "/aws4_request, SignedHeaders="
	if auth := r.Header.Get("Authorization"); !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") ||
		!strings.Contains(auth, scope) || !strings.Contains(auth, "Signature=") {
		s.problem("not signed for %s: %q", service, auth)
	}
	if s.throttled > 0 {
		s.throttled--
		fail(w, &failure{400, "ThrottlingException", "Rate exceeded"})
		return
	}
	call(w)
}

// route finds what a request is for.
func (s *Server) route(r *http.Request, body []byte) (service string, call func(http.ResponseWriter)) {
	if service, call = s.appconfig(r, body); call != nil {
		return service, call
	}
	if r.Method != http.MethodPost || r.URL.Path != "/" {
		return "", nil
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/x-amz-json-1.1" {
		s.problem("content type %q", kind)
	}
	target := r.Header.Get("X-Amz-Target")
	answer := func(action string, do func([]byte) (any, *failure)) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			s.calls = append(s.calls, action)
			out, wrong := do(body)
			if wrong != nil {
				fail(w, wrong)
				return
			}
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			_ = json.NewEncoder(w).Encode(out)
		}
	}
	switch target {
	case "AmazonSSM.GetParameters":
		return "ssm", answer("ssm:GetParameters", s.getParameters)
	case "AmazonSSM.GetParametersByPath":
		return "ssm", answer("ssm:GetParametersByPath", s.getParametersByPath)
	case "secretsmanager.GetSecretValue":
		return "secretsmanager", answer("secretsmanager:GetSecretValue", s.getSecretValue)
	}
	return "", nil
}

// read decodes the body of a request. A member that the action does not have is a problem.
func (s *Server) read(body []byte, in any) *failure {
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		s.problem("%v in %s", err, body)
		return &failure{400, "SerializationException", err.Error()}
	}
	return nil
}

func (s *Server) refusal(action, resource, arn string) *failure {
	if !s.refused[action+" "+resource] {
		return nil
	}
	return &failure{400, "AccessDeniedException", "User: arn:aws:sts::" + Account +
		":assumed-role/mailer/i-1 is not authorized to perform: " + action + " on resource: " + arn +
		" because no identity-based policy allows the " + action + " action"}
}

func (s *Server) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func fail(w http.ResponseWriter, f *failure) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Errortype", f.code)
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": f.code, "message": f.message, "Message": f.message})
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
