package grpcserver_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/test/bufconn"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/server/grpcserver"
	"github.com/sambatech/chassis/task"
)

func ExampleAddOn() {
	sys := chassis.MustNew("orders", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithLogOutput(io.Discard),
		chassis.WithoutDefaultLogger())
	l := bufconn.Listen(1 << 16)
	srv := grpcserver.AddOn(sys, l, grpcserver.WithLevel(func(c *grpcserver.Call) slog.Level {
		if !c.Probe {
			fmt.Println(c.Method, c.Code, c.ID)
		}
		return grpcserver.NoLine
	}))
	srv.RegisterService(&desc, &api{place: func(ctx context.Context, order string) (string, error) {
		job, _ := task.OriginOf(ctx) // as each record and each task of this call has it
		fmt.Println(job.ID, "|", job.Name)
		return order, nil
	}})
	ctx := context.Background()
	if err := sys.Start(ctx); err != nil {
		panic(err)
	}
	conn, err := grpc.NewClient("passthrough:///memory", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		panic(err)
	}
	if _, err := call(metadata.AppendToOutgoingContext(ctx, "x-request-id", "r-1"), conn, "17"); err != nil {
		panic(err)
	}
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
	for err == nil { // until the service is ready
		var res *healthpb.HealthCheckResponse
		if res, err = watch.Recv(); res.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			fmt.Println("ready")
			break
		}
	}
	fmt.Println(sys.Stop(ctx), conn.Close())
	// Output:
	// r-1 | orders.v1.Orders/Place
	// orders.v1.Orders/Place OK r-1
	// ready
	// <nil> <nil>
}
