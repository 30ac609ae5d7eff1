//go:build race

package dispatcher_test

// raceEnabled chooses the sizes of long tests; see sized.
const raceEnabled = true
