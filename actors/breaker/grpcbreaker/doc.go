// Package grpcbreaker guards gRPC clients by a circuit breaker.
//
//	users, err := breaker.Spawn(system, "https://users.internal:8443", breaker.Settings{})
//	if err != nil {
//		return err
//	}
//	conn, err := grpc.NewClient("users.internal:8443", append(grpcbreaker.DialOptions(users), creds)...)
//
// Every RPC is a call to the path of its full method, /package.Service/Method:
// so a service entry, one for each gRPC service, and one for each method that
// fails. A refusal is an error with the status code Unavailable that is also a
// *breaker.OpenError by errors.As, and breaker.ErrOpen by errors.Is.
//
// Failures are the codes that speak of the server's health: see [Verdict]. The
// caller's own cancellation is neutral, and so is what this client does not send: a
// message that it cannot encode or that is larger than it sends or takes, invalid
// metadata, a token that it does not get. A unary call is ended
// by request_timeout, or what takes its place: see breaker.WithPatience. A stream is one call, up to
// the error or io.EOF that ends it; for a half-open entry it has shown what it was to
// show when its first message has come. The time in which its caller does not
// wait for a message is no time of the service. A caller closes a stream by the end of
// its ctx: after a message, and not waiting for another, that is a success.
//
// The interceptors own nothing; the breaker does. They are safe for concurrent
// use. To test with them, dial a server over google.golang.org/grpc/test/bufconn.
package grpcbreaker
