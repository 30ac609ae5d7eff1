// Package breaker measures our circuit breaker next to its peers in one run:
// sony/gobreaker, failsafe-go and hystrix-go, and the bare limits of the
// machine (a load and a call). The peers are configured alike: 10 consecutive
// failures open, 10 s, one probe.
//
//	go test -run xxx -bench . -benchmem ./breaker
//	go test -run TestConformanceTable -v ./breaker
//
// The second puts the peers through the conformance suite and prints who fails
// what.
package breaker
