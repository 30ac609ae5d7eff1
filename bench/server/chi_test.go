package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/task"
)

// The patterns of chi are the routes, with the middleware around the router and in it.
func TestRoutesOfChi(t *testing.T) {
	for name, inside := range map[string]bool{"around the router": false, "router.Use": true} {
		var job task.Origin
		router := chi.NewRouter()
		reg := prometheus.NewRegistry()
		around := server.Middleware(nil, server.WithRegisterer(reg), server.WithRoutes(func(r *http.Request) string {
			return router.Find(chi.NewRouteContext(), r.Method, r.URL.Path)
		}))
		if inside {
			router.Use(around)
		}
		router.Use(func(next http.Handler) http.Handler { // makes a copy
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), "user", "ann"))) //nolint:staticcheck // a test
			})
		})
		router.Route("/api", func(r chi.Router) {
			r.Get("/orders/{id}", func(_ http.ResponseWriter, r *http.Request) { job, _ = task.OriginOf(r.Context()) })
		})
		var h http.Handler = router
		if !inside {
			h = around(router)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/api/orders/17", nil))
		if w.Code != 200 || job.Name != "GET /api/orders/{id}" {
			t.Errorf("%s: %d, the job is %q", name, w.Code, job.Name)
		}
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		route := ""
		for _, f := range families {
			if f.GetName() == "http_server_request_duration_seconds" {
				for _, l := range f.GetMetric()[0].GetLabel() {
					if l.GetName() == "http_route" {
						route = l.GetValue()
					}
				}
			}
		}
		if route != "/api/orders/{id}" {
			t.Errorf("%s: the route is %q", name, route)
		}
	}
}
