package admin

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
)

// Startup is what /startupz answers.
type Startup struct {
	Startup Health `json:"STARTUP"`
	State   string `json:"state"`
}

// probe serves one without a token. Its connection keeps its place, as far as
// there are places that requests of known clients cannot take.
func (s *Server) probe(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if done, ok := s.conns.hold(r.Context(), maxServed+maxProbes); ok {
			defer done()
		}
		h(w, r)
	})
}

// livez asks the actors and nothing else: what a restart cannot cure, like a
// queue that is gone, must not cause one.
func (s *Server) livez(w http.ResponseWriter, r *http.Request) {
	l := s.cfg.Service.Live(r.Context())
	if !s.guard.known(r) {
		l.Reasons = nil
	}
	l.Reasons = lines(l.Reasons)
	answerProbe(w, l.Actors == OK, l)
}

// startupz stays OK once the service runs, over its drain too.
func (s *Server) startupz(w http.ResponseWriter, _ *http.Request) {
	answer := Startup{Error, s.cfg.Service.Info().State}
	if answer.State == StateRunning || answer.State == StateStopping {
		answer.Startup = OK
	}
	answerProbe(w, answer.Startup == OK, answer)
}

func answerProbe(w http.ResponseWriter, ok bool, answer any) {
	w.Header().Set("Content-Type", "application/json")
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // the prober may have gone
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}
