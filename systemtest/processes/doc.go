// Package processes tests what only real processes show: several copies of a small program
// on one `chassis queue serve`, which are killed, suspended and given wrong clocks.
//
//	CHASSIS_SCALE=full go test ./systemtest/processes -v -timeout 30m
package processes
