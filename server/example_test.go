package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sambatech/chassis/server"
	"github.com/sambatech/chassis/task"
)

func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func ExampleMiddleware() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		job, _ := task.OriginOf(r.Context()) // as each record and each task of this request has it
		fmt.Println(job.ID, "|", job.Name)
		w.WriteHeader(http.StatusNotFound)
	})
	around := server.Middleware(nil, server.WithLevel(func(a *server.Access) slog.Level {
		fmt.Println(a.Method, a.Route, a.Status)
		return server.NoLine
	}))
	get(around(mux), "/orders/17", "X-Request-Id", "r-1")
	// Output:
	// r-1 | GET /orders/{id}
	// GET /orders/{id} 404
}

func ExampleWithTimeLimit() {
	h := server.TimeLimits(server.WithTimeLimit(time.Minute))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // the caller waits for ten milliseconds
		fmt.Println(context.Cause(r.Context()))
	}))
	fmt.Println(get(h, "/", server.TimeoutHeader, "0.01").Code)
	// Output:
	// server: the time limit of the request is over
	// 504
}

func ExampleShed() {
	limiter, err := server.NewLimiter(server.Limits{Min: 1, Max: 1, Queue: -1})
	if err != nil {
		panic(err)
	}
	var h http.Handler
	h = server.Shed(limiter)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/orders" {
			return
		}
		fmt.Println("another request:", get(h, "/").Code) // while this one has the only place
		fmt.Println("a probe:", get(h, "/livez").Code)
	}))
	fmt.Println(get(h, "/orders").Code)
	// Output:
	// another request: 503
	// a probe: 200
	// 200
}
