package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http/httptest"

	"github.com/sambatech/chassis/admin"
)

// bakery is a service as package admin sees it.
type bakery struct{ flour bool }

func (b bakery) Info() admin.Info { return admin.Info{Name: "bakery", State: admin.StateRunning} }

func (b bakery) Live(context.Context) admin.Liveness { return admin.Liveness{Actors: admin.OK} }

func (b bakery) Ready(context.Context) admin.Readiness {
	if !b.flour {
		return admin.Readiness{TaskQueues: admin.OK, TaskConsumer: admin.Error, Reasons: []string{"no flour"}}
	}
	return admin.Readiness{TaskQueues: admin.OK, TaskConsumer: admin.OK}
}

func Example() {
	server, err := admin.New(admin.Config{Service: bakery{flour: false}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close(context.Background())

	for _, path := range []string{"/livez", "/readyz"} {
		r := httptest.NewRequest("GET", "http://localhost"+path, nil)
		w := httptest.NewRecorder()
		server.Handler().ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		fmt.Print(path, " ", w.Code, " ", string(body))
	}
	// Output:
	// /livez 200 {"ACTORS":"OK"}
	// /readyz 503 {"TASK_QUEUES":"OK","TASK_CONSUMER":"ERROR","reasons":["no flour"]}
}
