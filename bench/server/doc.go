// Package server measures our middleware for net/http next to what a service would take
// in its place, and the shedding of load.
//
//	go test -run '^$' -bench Server -benchmem ./server       # cost of a request: bare mux, ours, chi, otelhttp
//	CHASSIS_SCALE=full go test -run Overload -v ./server     # three times the capacity; writes docs/images/server-shedding.svg
//
// The peers do what they do by default: chi its RequestID, Logger and Recoverer, with no
// metrics; otelhttp metrics and no spans, with no log and no ids. Ours does all of it.
package server
