//go:build race

package logger

// raceEnabled makes the longest tests shorter: the race detector makes a call
// ten times as long.
const raceEnabled = true
