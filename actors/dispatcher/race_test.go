//go:build race

package dispatcher_test

// raceEnabled cuts the size of the long tests, which the race detector makes
// several times longer.
const raceEnabled = true
