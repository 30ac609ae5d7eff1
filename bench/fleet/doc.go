// Package fleet measures what a shared breaker costs, and what becomes of calls when that
// by which it is shared is down: a fleet of ours and gobreaker's distributed breaker on a
// real Redis, in one run.
//
//	cd bench && go test -v -run Redis ./fleet
//
// It wants the program redis-server (Debian: apt-get install redis-server), and is
// skipped without.
package fleet
