package awsserver

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// config is the deployed configuration of a profile.
type config struct {
	kind, label string
	data        []byte
	serial      int // of the deployment
	poll        time.Duration
}

// token is one question of a session.
type token struct {
	name     string
	least    time.Duration // between two questions
	serial   int           // of the configuration that its session has
	given    time.Time
	interval time.Duration // when to ask
}

// tokenLife is how long a token is good.
const tokenLife = 24 * time.Hour

// Deploy deploys a configuration of application/environment/profile. Its label may be "".
func (s *Server) Deploy(name, contentType, label string, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	poll := time.Duration(0)
	if c := s.configs[name]; c != nil {
		poll = c.poll
	}
	s.configs[name] = &config{kind: contentType, label: label, data: data, serial: s.serial, poll: poll}
}

// Poll has the server ask for an interval that is longer than the session's.
func (s *Server) Poll(name string, every time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configs[name].poll = every
}

// ForgetTokens ends all sessions.
func (s *Server) ForgetTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

func (s *Server) appconfig(r *http.Request, body []byte) (string, func(http.ResponseWriter)) {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/configurationsessions":
		return "appconfig", func(w http.ResponseWriter) { s.startSession(w, body) }
	case r.Method == http.MethodGet && r.URL.Path == "/configuration":
		return "appconfig", func(w http.ResponseWriter) { s.latest(w, r.URL.Query().Get("configuration_token")) }
	}
	return "", nil
}

func (s *Server) startSession(w http.ResponseWriter, body []byte) {
	s.calls = append(s.calls, "appconfig:StartConfigurationSession")
	var in struct {
		ApplicationIdentifier                string
		EnvironmentIdentifier                string
		ConfigurationProfileIdentifier       string
		RequiredMinimumPollIntervalInSeconds int
	}
	if wrong := s.read(body, &in); wrong != nil {
		fail(w, wrong)
		return
	}
	if n := in.RequiredMinimumPollIntervalInSeconds; n < 15 || n > 86400 {
		s.problem("a poll interval of %d s", n)
		fail(w, &failure{400, "BadRequestException", "RequiredMinimumPollIntervalInSeconds is 15 to 86400"})
		return
	}
	name := in.ApplicationIdentifier + "/" + in.EnvironmentIdentifier + "/" + in.ConfigurationProfileIdentifier
	arn := "arn:aws:appconfig:" + Region + ":" + Account + ":application/" + in.ApplicationIdentifier +
		"/environment/" + in.EnvironmentIdentifier + "/configuration/" + in.ConfigurationProfileIdentifier
	if wrong := s.refusal("appconfig:StartConfigurationSession", name, arn); wrong != nil {
		fail(w, wrong)
		return
	}
	if s.configs[name] == nil {
		fail(w, &failure{404, "ResourceNotFoundException", "Resource not found"})
		return
	}
	least := time.Duration(in.RequiredMinimumPollIntervalInSeconds) * time.Second
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{
		"InitialConfigurationToken": s.newToken(&token{name: name, least: least})})
}

func (s *Server) newToken(t *token) string {
	s.serial++
	id := "token-" + strconv.Itoa(s.serial)
	t.given = time.Now()
	s.tokens[id] = t
	return id
}

// latest answers a poll. A token is good once, for a day, and not before the session's interval is over.
func (s *Server) latest(w http.ResponseWriter, id string) {
	s.calls = append(s.calls, "appconfig:GetLatestConfiguration")
	t := s.tokens[id]
	switch {
	case t == nil:
		fail(w, &failure{400, "BadRequestException", "Token not valid"})
		return
	case time.Since(t.given) > tokenLife:
		s.problem("a token of %v", time.Since(t.given))
		fail(w, &failure{400, "BadRequestException", "Token expired"})
		return
	case time.Since(t.given) < t.interval:
		s.problem("polled after %v", time.Since(t.given))
		fail(w, &failure{400, "BadRequestException", "Request too early"})
		return
	}
	delete(s.tokens, id)
	c := s.configs[t.name]
	next := &token{name: t.name, least: t.least, serial: c.serial, interval: max(t.least, c.poll)}
	w.Header().Set("Next-Poll-Configuration-Token", s.newToken(next))
	w.Header().Set("Next-Poll-Interval-In-Seconds", strconv.Itoa(int(next.interval/time.Second)))
	w.Header().Set("Content-Type", c.kind)
	if t.serial == c.serial {
		return // unchanged: no body
	}
	if label := strings.TrimSpace(c.label); label != "" {
		w.Header().Set("Version-Label", label)
	}
	_, _ = w.Write(c.data)
}
