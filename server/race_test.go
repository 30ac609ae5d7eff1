//go:build race

package server

// raceEnabled leaves out counts of allocations: with the race detector, sync.Pool forgets
// some of what it is given.
const raceEnabled = true
